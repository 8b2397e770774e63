// Dropout whose mask depends on the sample and the step only: packing, micro-batches and threads do not change it.

import * as check from '../check';
import { raise } from '../errors';
import { type Tensor, torch } from '../tensor';
import { LAYER_OPTIONS, type LayerOptions, sharedInitializer } from './initializer';
import { Module } from './module';
import { currentSegments, type Segments } from './segments';

/**
 * The surrounding segments, which hold the records of the samples and the step.
 *
 * @throws ERR_BATCH_DIMENSION without a scope, or in one that does not know the records: with masks that hang on the place in the
 *   batch, one record more or less changes the gradients of the others, and clipping no longer bounds what a record can do.
 */
export function segmentsForDropout(operation: string): Segments {
  const segments = currentSegments();
  if (segments?.keyed === true) return segments;
  return raise(
    'ERR_BATCH_DIMENSION',
    `${operation}: dropout is keyed by record and step, and ` +
      (segments === null
        ? 'no segments are open. Run the model inside nn.withSegments(segments, …), '
        : 'the open segments have no record ids. Give recordIds to the batch of Segments.of, or to Segments.equal, ') +
      'or switch it to evaluation with eval().',
  );
}

/**
 * While training, sets each element to 0 with probability `p` and divides the others by 1 − p. The mask is a function
 * of (seed, step, site, record, element of the sample); seed and site come from the initializer. An engine that trains with privacy
 * gives the record's number under a secret key.
 */
export class Dropout extends Module {
  readonly p: number;
  readonly seed: number;
  readonly site: number;

  /**
   * @param options Those of layers, so that a model has one object for all; the element type is that of the input.
   * @throws ERR_INVALID_ARGUMENT unless 0 ≤ p < 1
   */
  constructor(p: number, options: LayerOptions = {}) {
    super();
    check.onlyKnown('Dropout', options, LAYER_OPTIONS);
    const { init = sharedInitializer() } = options;
    check.share('Dropout', { p });
    this.p = p;
    this.seed = init.seed;
    this.site = init.site();
  }

  /**
   * @param x `[N, ...]` rows of the surrounding segments
   * @throws ERR_BATCH_DIMENSION while training without segments, or in segments without record ids
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
