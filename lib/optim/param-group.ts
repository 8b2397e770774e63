// The parameters of an optimizer, checked, with the rate that they are moved at.

import * as check from '../check';
import { raise } from '../errors';
import { Tensor } from '../tensor';

/** The one group of parameters that share their settings; `lr` may be set before every step. */
export interface ParamGroup {
  readonly parameters: readonly Tensor[];
  lr: number;
}

/** @throws ERR_INVALID_ARGUMENT for no parameters, one given twice, mixed types, or a negative rate, now or when it is set */
export function paramGroup(operation: string, parameters: Iterable<Tensor>, lr: number): ParamGroup {
  const list = listOf(operation, parameters);
  checkParameters(operation, list);
  let rate = checkedRate(operation, lr);
  return {
    parameters: list,
    get lr() {
      return rate;
    },
    set lr(value: number) {
      rate = checkedRate(operation, value);
    },
  };
}

function checkedRate(operation: string, lr: number): number {
  check.notNegative(operation, { lr });
  return lr;
}

// A function, one tensor or pairs of name and parameter are near at hand: model.parameters, model.weight, model.namedParameters().
function listOf(operation: string, parameters: Iterable<Tensor>): readonly Tensor[] {
  const iterable = typeof (parameters as Partial<Iterable<unknown>> | null)?.[Symbol.iterator] === 'function';
  const list = iterable ? [...parameters] : [];
  if (iterable && list.every((parameter) => Tensor.isTensor(parameter))) return list;
  return raise(
    'ERR_INVALID_ARGUMENT',
    `${operation}: parameters must be an array or another iterable of tensors, such as model.parameters().`,
  );
}

function checkParameters(operation: string, parameters: readonly Tensor[]): void {
  const [first] = parameters;
  if (first === undefined) return raise('ERR_INVALID_ARGUMENT', `${operation}: there are no parameters to train.`);
  if (new Set(parameters).size !== parameters.length) {
    raise('ERR_INVALID_ARGUMENT', `${operation}: a parameter was given twice; it would be moved twice a step.`);
  }
  check.oneOf(operation, { dtype: first.dtype }, ['float32', 'float64']);
  const other = parameters.find(({ dtype }) => dtype !== first.dtype);
  if (other !== undefined) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `${operation}: parameters must have one type, got ${first.dtype} and ${other.dtype}.`,
    );
  }
}
