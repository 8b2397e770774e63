// Which parameters an engine trains: the optimizer's at attach, and the same ones at every step.

import * as check from '../check';
import { raise } from '../errors';
import type { Optimizer } from '../optim';
import type { Tensor } from '../tensor';
import type { TrainableModel } from './attached';

/** The parameters of `model` that require a gradient, by dotted name. */
export function trainable(model: TrainableModel): Map<string, Tensor> {
  check.able('privacy', { model }, 'namedParameters', 'a model');
  return new Map([...model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad));
}

/** @throws ERR_INVALID_ARGUMENT unless `optimizer` holds exactly `parameters` and has taken no plain step. */
export function checkOptimizer(optimizer: Optimizer, parameters: ReadonlyMap<string, Tensor>): void {
  const given = new Set(optimizer.parameters);
  const missing = [...parameters].find(([, parameter]) => !given.has(parameter));
  if (missing !== undefined || given.size !== parameters.size) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `attach: the optimizer must hold exactly the model's trainable parameters, got ${given.size} for ${parameters.size}` +
        `${missing === undefined ? '' : `; ${missing[0]} is not among them`}. Freeze parameters with requiresGrad_(false).`,
    );
  }
  if (optimizer.stateDict().layout === 'parameters') {
    raise(
      'ERR_INVALID_ARGUMENT',
      'attach: the optimizer has taken plain steps; its moments do not fit the arena. Make a new optimizer.',
    );
  }
}

/**
 * The arena is updated as a whole: a parameter frozen since attach would still receive noise, and a new one no update.
 *
 * @throws ERR_ENGINE_STATE unless `model` still trains exactly `attached`.
 */
export function checkUnchanged(operation: string, model: TrainableModel, attached: ReadonlyMap<string, Tensor>): void {
  const now = trainable(model);
  const names = new Set([...now.keys(), ...attached.keys()]);
  const changed = [...names].find((name) => now.get(name) !== attached.get(name));
  if (changed === undefined) return;
  raise(
    'ERR_ENGINE_STATE',
    `${operation}: parameter ${changed} was frozen, unfrozen or replaced while the engine is attached. Call detach(), then ` +
      `attach an optimizer of the parameters that are trained now.`,
  );
}
