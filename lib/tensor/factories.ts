// Tensors from values and from nothing. Floating point is float32 unless a dtype is named.

import * as check from '../check';
import { raise } from '../errors';
import { operator } from './call';
import { carries, type DType, dtypeOfArray } from './dtype';
import { flatten, type NestedInput } from './nested';
import { core } from './native';
import type { Generator } from './random';
import { Tensor } from './tensor';

/** What every factory accepts. */
export interface TensorOptions {
  /** Default float32. */
  readonly dtype?: DType;
  /** Default cpu. */
  readonly device?: string;
  readonly requiresGrad?: boolean;
}

const OPTIONS = ['dtype', 'device', 'requiresGrad'];

/** Elements between −2^(bits−1) or 0 and the largest of the type, by dtype. */
const INTEGER_RANGE: Readonly<Partial<Record<DType, readonly [bigint, bigint]>>> = {
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int16: [-(2n ** 15n), 2n ** 15n - 1n],
  int8: [-128n, 127n],
  uint8: [0n, 255n],
};

function wholeNumbers(values: readonly (number | bigint | boolean)[], dtype: DType): BigInt64Array {
  const [least, most] = INTEGER_RANGE[dtype] as readonly [bigint, bigint];
  const out = new BigInt64Array(values.length);
  values.forEach((value, i) => {
    const whole = typeof value === 'bigint' || Number.isInteger(Number(value));
    const big = whole ? BigInt(value) : 0n;
    if (!whole || big < least || big > most) raise('ERR_INVALID_ARGUMENT', `tensor: ${value} is no ${dtype}.`);
    out[i] = big;
  });
  return out;
}

function naturalDtype(values: readonly (number | bigint | boolean)[]): DType {
  if (values.length > 0 && values.every((value) => typeof value === 'boolean')) return 'bool';
  if (values.length > 0 && values.every((value) => typeof value === 'bigint')) return 'int64';
  return 'float32';
}

function finish(tensor: Tensor, options: TensorOptions, dtype: DType): Tensor {
  const device = options.device ?? 'cpu';
  let out = tensor;
  if (tensor.dtype !== dtype || device !== 'cpu') {
    out = tensor.to({ dtype, device });
    tensor.dispose();
  }
  return options.requiresGrad === true ? out.requiresGrad_() : out;
}

/**
 * A tensor that copies a typed array.
 *
 * @param shape Default: one dimension.
 * @param dtype Default: the array's own element type. A Uint16Array needs 'float16' or 'bfloat16' (bit patterns), a
 *   Uint8Array may be 'bool'; any other difference converts the values.
 * @throws ERR_INVALID_ARGUMENT if the shape does not hold the elements (a detached buffer has none), or the array has
 * no dtype
 */
export function fromTypedArray(array: ArrayBufferView, shape?: readonly number[], dtype?: DType): Tensor {
  if (!ArrayBuffer.isView(array))
    raise('ERR_INVALID_ARGUMENT', `fromTypedArray: expected a typed array, got ${typeof array}.`);
  const own = dtype !== undefined && carries(array, dtype) ? dtype : dtypeOfArray(array);
  const size = shape ?? [(array as unknown as { length: number }).length];
  return finish(new Tensor(core().fromTypedArray(array, size, own)), {}, dtype ?? own);
}

/** {@link fromTypedArray} on the device of `like`: where what it is computed with lives. */
export function beside(like: Tensor, array: ArrayBufferView, shape?: readonly number[]): Tensor {
  const out = fromTypedArray(array, shape);
  return finish(out, { device: like.device }, out.dtype);
}

/**
 * A tensor of the given values.
 *
 * @param values A number, evenly nested arrays of numbers, or a typed array. Default dtype: float32 for numbers, bool
 * for
 *   booleans, int64 for bigints, a typed array's own.
 * @param options.shape For flat values: what to reshape them to.
 * @throws ERR_INVALID_ARGUMENT for uneven rows, or values that an integer dtype cannot hold
 * @example tensor([[1, 2], [3, 4]])   tensor([1, 2], { dtype: 'int64' })   tensor(new Float64Array(6), { shape: [2, 3]
 * })
 */
export function tensor(
  values: NestedInput | ArrayBufferView,
  options: TensorOptions & { readonly shape?: readonly number[] } = {},
): Tensor {
  check.onlyKnown('tensor', options, [...OPTIONS, 'shape']);
  if (ArrayBuffer.isView(values)) {
    const out = fromTypedArray(values, options.shape, options.dtype);
    return finish(out, options, out.dtype);
  }
  const { shape, values: flat } = flatten(values);
  const dtype = options.dtype ?? naturalDtype(flat);
  const size = options.shape ?? shape;
  const integer = dtype in INTEGER_RANGE;
  // Through float64 where float32 would round first; bool and every float accept the conversion that follows.
  const carrier = integer ? wholeNumbers(flat, dtype) : Float64Array.from(flat, Number);
  return finish(new Tensor(core().fromTypedArray(carrier, size, integer ? 'int64' : 'float64')), options, dtype);
}

function factory(name: string, known: readonly string[] = OPTIONS) {
  const call = operator(`aten::${name}`);
  return (args: readonly unknown[], options: TensorOptions & { generator?: Generator }) => {
    check.onlyKnown(name, options, known);
    const { dtype = 'float32', device = 'cpu', requiresGrad = false, generator } = options;
    const out = call(...args, { dtype, device, ...(generator === undefined ? {} : { generator }) }) as Tensor;
    return requiresGrad ? out.requiresGrad_() : out;
  };
}

const makeZeros = factory('zeros');
const makeOnes = factory('ones');
const makeFull = factory('full');
const makeEmpty = factory('empty');
const makeArange = factory('arange');
const makeRandn = factory('randn', [...OPTIONS, 'generator']);
const makeRand = factory('rand', [...OPTIONS, 'generator']);

/** All 0. @throws ERR_INVALID_ARGUMENT, ERR_TORCH, ERR_OUT_OF_MEMORY, as its neighbours @example zeros([2, 3], { dtype: 'float64' }) */
export function zeros(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return makeZeros([shape], options);
}

/** All 1. */
export function ones(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return makeOnes([shape], options);
}

/** All `value`, in float32 unless a dtype is named. */
export function full(shape: readonly number[], value: number | bigint | boolean, options: TensorOptions = {}): Tensor {
  return makeFull([shape, value], options);
}

/** Memory as it comes: the values are anything. */
export function empty(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return makeEmpty([shape], options);
}

/** `arange(end)`, `arange(start, end)` or `arange(start, end, step)`: start, start + step, … below end. */
export function arange(...args: readonly (number | bigint | TensorOptions)[]): Tensor {
  const last = args[args.length - 1];
  const options = typeof last === 'object' ? last : {};
  return makeArange(typeof last === 'object' ? args.slice(0, -1) : args, options);
}

/** Normal random numbers, mean 0 and variance 1. */
export function randn(shape: readonly number[], options: TensorOptions & { generator?: Generator } = {}): Tensor {
  return makeRandn([shape], options);
}

/** Uniform random numbers in [0, 1). */
export function rand(shape: readonly number[], options: TensorOptions & { generator?: Generator } = {}): Tensor {
  return makeRand([shape], options);
}

/**
 * The tensor behind a number from `tensor.share()` of another Worker.
 * @throws ERR_INVALID_ARGUMENT if it is unknown or was claimed before
 */
export function fromShared(token: number): Tensor {
  return new Tensor(core().fromShared(token));
}
