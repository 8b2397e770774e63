// Batches from the caller's own loader: allowed, and charged without amplification.

import { gaussian, NEIGHBOURS } from '../accounting/events';
import { batchSizeOf, rateOf, stepsOf, type Sampler, soundNeighbours } from './sampler';

/**
 * For a loop over a foreign loader. Nothing is known about how its batches are drawn, so every step is charged as a Gaussian
 * mechanism on all records (q = 1). Each record may occur at most once in a logical batch, and neither who else is in it nor the
 * `recordIds` of the others, which dropout is keyed by, may depend on it.
 *
 * @param batchSize  The divisor of the released mean: a public constant, not the length of the batch at hand.
 * @throws ERR_INVALID_ARGUMENT when `batchSize` is not a whole number above 0.
 */
export function external(options: { batchSize: number }): Sampler {
  const batchSize = batchSizeOf('external', options);
  return Object.freeze<Sampler>({
    kind: 'external',
    batchSize,
    neighbours: NEIGHBOURS,
    steps: (records, epochs) => stepsOf('external', batchSize, records, epochs),
    event(noiseMultiplier, records, count = 1, neighbours) {
      rateOf('external', batchSize, records);
      return gaussian(noiseMultiplier, count, soundNeighbours('external', neighbours, NEIGHBOURS));
    },
  });
}
