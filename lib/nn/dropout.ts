// Dropout whose mask depends on the sample and the step only: packing, micro-batches and threads do not change it.

import * as check from '../check';
import { raise } from '../errors';
import { type Tensor, torch } from '../tensor';
import { type LayerOptions, sharedInitializer } from './initializer';
import { Module } from './module';
import { currentSegments, type Segments } from './segments';

/**
 * The surrounding segments, which hold the keys of the samples and the step.
 * @throws ERR_BATCH_DIMENSION without a scope
 */
export function segmentsForDropout(operation: string): Segments {
  return (
    currentSegments() ??
    raise(
      'ERR_BATCH_DIMENSION',
      `${operation}: dropout is keyed by sample and step, and no segments are open. Run the model inside ` +
        'nn.withSegments(segments, …), or switch it to evaluation with eval().',
    )
  );
}

/**
 * While training, sets each element to 0 with probability `p` and divides the others by 1 − p. The mask is a function
 * of
 * (seed, step, site, sample key, element of the sample); seed and site come from the initializer.
 */
export class Dropout extends Module {
  readonly p: number;
  readonly seed: number;
  readonly site: number;

  /** @throws ERR_INVALID_ARGUMENT unless 0 ≤ p < 1 */
  constructor(p: number, { init = sharedInitializer() }: Pick<LayerOptions, 'init'> = {}) {
    super();
    check.notNegative('Dropout', { p });
    check.between('Dropout', { p }, -1, 1);
    this.p = p;
    this.seed = init.seed;
    this.site = init.site();
  }

  /**
   * @param x `[N, ...]` rows of the surrounding segments
   * @throws ERR_BATCH_DIMENSION while training without segments
   */
  forward(x: Tensor): Tensor {
    if (!this.training || this.p === 0) return x;
    const { cuSeqlens, sampleKeys, step } = segmentsForDropout('Dropout');
    return torch.ops.phantomgrad.dropout(x, this.p, {
      seed: this.seed,
      step,
      site: this.site,
      cu_seqlens: cuSeqlens,
      sample_keys: sampleKeys,
    });
  }
}
