// Training without privacy on the very same road: same batches, same kernels, no clipping, no noise. The baseline.

import * as check from '../check';
import type { Optimizer, PrivateRelease } from '../optim';
import type { Performance, TrainableModel } from './attached';
import type { BookOptions, GradientBook } from './gradient-book';
import { insecureRandom, secureRandom, type Sampler } from './sampling';
import { StepEngine } from './step-engine';

export interface PlainEngineOptions {
  readonly records: number;
  readonly epochs: number;
  readonly sampler: Sampler;
  /** Draws the same batches every time. */
  readonly seed?: number;
  readonly performance?: Performance;
}

/**
 * Sums plain gradients of sampled batches and divides by the expected batch size, as the private engine does, so that the
 * difference between two runs is clipping and noise alone. It protects nobody: nothing it trains is private.
 *
 * @throws ERR_INVALID_ARGUMENT
 */
export class PlainEngine extends StepEngine {
  constructor(model: TrainableModel, options: PlainEngineOptions) {
    check.onlyKnown('PlainEngine', options, ['records', 'epochs', 'sampler', 'seed', 'performance']);
    const { records, epochs, sampler, seed, performance = {} } = options;
    check.integer('PlainEngine', { records }, 1);
    const random = seed === undefined ? secureRandom() : insecureRandom(seed);
    super(model, sampler, records, sampler.steps(records, epochs), random, performance, false);
  }

  /** Logical steps planned. */
  get totalSteps(): number {
    return this.plannedSteps;
  }

  protected bookOptions(): BookOptions {
    return { norms: false };
  }

  protected admit(): void {
    // Nothing is charged.
  }

  protected factors(
    _book: GradientBook,
    finite: (sample: number) => boolean,
    lossScale: number,
    samples: number,
  ): readonly Float64Array[] {
    return [Float64Array.from({ length: samples }, (_, b) => (finite(b) ? 1 / lossScale : 0))];
  }

  protected release(): PrivateRelease {
    return { noiseSource: 0, noiseStd: 0, grid: 0, divisor: this.sampler.batchSize };
  }

  protected finished(optimizer: Optimizer): void {
    optimizer.markUnprotected();
  }

  protected abandoned(): void {
    // No statistics.
  }
}
