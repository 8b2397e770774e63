// Stochastic gradient descent with momentum, as torch.optim.SGD.

import * as check from '../check';
import { raise } from '../errors';
import { type Tensor, torch } from '../tensor';
import { type AverageOptions, type Moments, Optimizer } from './optimizer';
import { type PrivateArena, type PrivateRelease, stepLengths } from './release';

export interface SgdOptions extends AverageOptions {
  /** Learning rate; no default fits. */
  readonly lr: number;
  /** Share of the last direction that is kept, in [0, 1). Default 0. */
  readonly momentum?: number;
  /** Added to the gradient, times the parameter (L2). Default 0. */
  readonly weightDecay?: number;
  /** Looks ahead along the momentum (Sutskever et al. 2013). Needs momentum. Default false. */
  readonly nesterov?: boolean;
}

type SgdMoment = 'momentum';

export class Sgd extends Optimizer<SgdMoment> {
  readonly kind = 'sgd';
  protected readonly momentNames: readonly SgdMoment[];
  readonly momentum: number;
  readonly weightDecay: number;
  readonly nesterov: boolean;

  /** @internal Use {@link sgd}. */
  constructor(
    parameters: Iterable<Tensor>,
    options: Required<Omit<SgdOptions, keyof AverageOptions>> & AverageOptions,
  ) {
    super('sgd', parameters, options);
    const { momentum, weightDecay, nesterov } = options;
    check.share('sgd', { momentum });
    check.notNegative('sgd', { weightDecay });
    if (nesterov && momentum === 0) raise('ERR_INVALID_ARGUMENT', 'sgd: nesterov needs a momentum above 0, got 0.');
    this.momentum = momentum;
    this.weightDecay = weightDecay;
    this.nesterov = nesterov;
    this.momentNames = momentum > 0 ? ['momentum'] : [];
  }

  get settings(): Readonly<Record<string, number | boolean>> {
    const { momentum, weightDecay, nesterov } = this;
    return { momentum, weightDecay, nesterov, ...this.averageSettings };
  }

  protected update(parameter: Tensor, gradient: Tensor, moments: Moments<SgdMoment>): void {
    parameter.sub_(this.#direction(parameter, gradient, moments), { alpha: this.lr });
  }

  #direction(parameter: Tensor, gradient: Tensor, moments: Moments<SgdMoment>): Tensor {
    const direction = this.weightDecay > 0 ? gradient.add(parameter, { alpha: this.weightDecay }) : gradient;
    if (this.momentum > 0) {
      // The first direction is the gradient itself, because the momentum starts at zero.
      const kept = moments('momentum').mul_(this.momentum).add_(direction);
      return this.nesterov ? direction.add(kept, { alpha: this.momentum }) : kept;
    }
    return direction;
  }

  protected updatePrivately(arena: PrivateArena, release: PrivateRelease, moments: Moments<SgdMoment>): number {
    const { parameters, sum } = arena;
    const { noiseSource, noiseStd, grid, divisor, profile } = release;
    if (parameters.numel !== sum.numel) {
      raise('ERR_INVALID_ARGUMENT', `sgd: sum must have ${parameters.numel} elements as the arena, got ${sum.numel}.`);
    }
    const gradient = torch.ops.phantomgrad.privatise_(sum, noiseSource, noiseStd, grid, divisor, {
      run_ends: profile?.ends ?? null,
      scales: profile?.scales ?? null,
    });
    const direction = this.#direction(parameters, gradient.to({ dtype: parameters.dtype }), moments);
    const lengths = profile ? stepLengths(profile).to({ dtype: parameters.dtype, device: parameters.device }) : null;
    parameters.sub_(lengths === null ? direction : direction.mul(lengths), { alpha: this.lr });
    return parameters.numel - parameters.isfinite().sum().item();
  }
}

/** SGD over `parameters`. @throws ERR_INVALID_ARGUMENT @example optim.sgd(model.parameters(), { lr: 0.1, momentum: 0.9 }) */
export function sgd(parameters: Iterable<Tensor>, options: SgdOptions): Sgd {
  check.onlyKnown('sgd', options, ['lr', 'momentum', 'weightDecay', 'nesterov', 'averageDecay']);
  return new Sgd(parameters, { momentum: 0, weightDecay: 0, nesterov: false, ...options });
}
