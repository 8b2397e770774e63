// The strict level: contributions in integers, summed in integers, with noise from the discrete Gaussian.

import { raise } from '../errors';
import { publicGrid } from '../optim';
import { keep, noGrad, type Tensor, torch, zeros } from '../tensor';
import type { NoiseSource } from './noise-source';

const ops = torch.ops.phantomgrad;

/**
 * `default`: noise in double precision, released on a public grid; the rounding of float32 partial sums is not covered by a proof.
 * `strict`: every sample's clipped gradient is rounded to whole units and its norm checked in integers, sums are exact, and the noise is
 * drawn from the discrete Gaussian in integer arithmetic. One sample a physical batch: slow.
 */
export type NoiseLevel = 'default' | 'strict';

/**
 * Total variation, a weight and step, between the discrete Gaussian and the continuous one rounded to units, which ε is computed for. The
 * rounded density at x is that of the continuous one times 1 + (x²/s² - 1) / (24 s²) but for terms in s^-4, and E|z² - 1| is 0.968 for
 * a standard normal z: 0.0202 / s², for s of at least 2^36.
 */
const DISTANCE = 2 ** -77;

/** The same for all weights of a step: coordinates are independent. */
export function strictDistance(parameters: number): number {
  return parameters * DISTANCE;
}

/** What is public about the integers of a strict run. */
export interface StrictGrid {
  /** What 1 stands for, in gradient units: a power of two, at most 2^-36 σC. */
  readonly unit: number;
  /** No contribution is longer than this, in units. A longer one is left out, whole. */
  readonly limit: number;
  /** s of the discrete Gaussian, in units: at least σ times the limit. */
  readonly scale: number;
  /** By how much rounding to units may lengthen a contribution beyond C, in gradient units: at most √p / 2 + 1 units. */
  readonly addedSensitivity: number;
}

/**
 * @param parameters  Number of trained weights, p.
 * @throws ERR_INVALID_ARGUMENT when the noise is so small beside C that the integers would leave their range.
 */
export function strictGrid(noiseMultiplier: number, maxGradNorm: number, parameters: number): StrictGrid {
  const unit = publicGrid(noiseMultiplier * maxGradNorm) * 2 ** -28;
  const limit = Math.ceil(maxGradNorm / unit + Math.sqrt(parameters) / 2);
  const scale = Math.ceil(noiseMultiplier * limit);
  if (!(limit <= 2 ** 52 && scale <= 2 ** 40)) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `PrivacyEngine: strict noise cannot count a noise multiplier of ${noiseMultiplier} on ${parameters} parameters in whole units. ` +
        'Take the default level.',
    );
  }
  return { unit, limit, scale, addedSensitivity: limit * unit - maxGradNorm };
}

/** The integer sum of one logical step. */
export class StrictSum {
  readonly grid: StrictGrid;
  readonly #total: Tensor;
  #leftOut = 0;

  constructor(noiseMultiplier: number, maxGradNorm: number, parameters: number) {
    this.grid = strictGrid(noiseMultiplier, maxGradNorm, parameters);
    this.#total = keep(zeros([parameters], { dtype: 'int64' }));
  }

  /** Contributions that were longer than the limit, or not finite, since the beginning. Not private. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** Moves one sample's clipped gradient from `sum`, which is zero afterwards, into the integers. */
  add(sum: Tensor): void {
    const { unit, limit } = this.grid;
    if (!noGrad(() => ops.strict_accumulate_(this.#total, sum, unit, limit))) this.#leftOut += 1;
  }

  /** Writes total and noise to `sum`, in gradient units, and begins the next step. */
  release(sum: Tensor, noise: NoiseSource): void {
    const { unit, scale } = this.grid;
    noGrad(() => ops.strict_privatise_(sum, this.#total, noise.id, scale, unit));
  }

  /** What was summed is gone. */
  forget(): void {
    noGrad(() => this.#total.zero_());
  }

  dispose(): void {
    this.#total.dispose();
  }
}
