// Poisson sampling with a largest batch: a sample that is too large is cut by a uniform choice.

import { NEIGHBOURS, truncatedPoissonGaussian } from '../accounting/events';
import * as check from '../../check';
import type { RandomSource } from './csprng';
import { drawPoisson } from './poisson';
import { batchSizeOf, memoryless, type MemorylessSampler, rateOf, soundNeighbours, stepsOf } from './sampler';
import { uniformSubset } from './uniform';

/**
 * Poisson batches of rate q = B / N, never larger than `maxBatchSize`, for memory that is known in advance. The divisor stays B. Choose
 * the maximum so that cutting is far rarer than δ / steps: every cut is charged, and ε grows quickly once cuts are not rare.
 *
 * @throws ERR_INVALID_ARGUMENT when a size is not a whole number above 0, or the maximum is below B.
 * @example const sampler = truncatedPoisson({ batchSize: 256, maxBatchSize: 384 });
 * @see arXiv 2508.15089
 */
export function truncatedPoisson(sizes: { batchSize: number; maxBatchSize: number }): MemorylessSampler & {
  readonly maxBatchSize: number;
} {
  const batchSize = batchSizeOf('truncatedPoisson', sizes, ['maxBatchSize']);
  const { maxBatchSize } = sizes;
  check.integer('truncatedPoisson', { maxBatchSize }, batchSize);
  const draw = (records: number, random: RandomSource): Int32Array => {
    const drawn = drawPoisson(rateOf('truncatedPoisson', batchSize, records), records, random);
    return drawn.length <= maxBatchSize ? drawn : uniformSubset(drawn, maxBatchSize, random);
  };
  return Object.freeze({
    kind: 'truncatedPoisson' as const,
    batchSize,
    maxBatchSize,
    neighbours: NEIGHBOURS,
    steps: (records: number, epochs: number) => stepsOf('truncatedPoisson', batchSize, records, epochs),
    event: ((noiseMultiplier, records, count = 1, neighbours) => {
      const samplingRate = rateOf('truncatedPoisson', batchSize, records);
      return truncatedPoissonGaussian(
        { samplingRate, records, maxBatchSize },
        noiseMultiplier,
        count,
        soundNeighbours('truncatedPoisson', neighbours, NEIGHBOURS),
      );
    }) satisfies MemorylessSampler['event'],
    draw,
    open: memoryless(draw),
  });
}
