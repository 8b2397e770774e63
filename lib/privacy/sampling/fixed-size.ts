// Batches of exactly B records, drawn without replacement, independently from step to step.

import { fixedSizeGaussian } from '../accounting/events';
import type { RandomSource } from './csprng';
import { batchSizeOf, memoryless, type MemorylessSampler, rateOf, soundNeighbours, stepsOf } from './sampler';
import { uniformRecords } from './uniform';

/**
 * A uniform choice of B records at every step. Sound for neighbours that replace a record: adding one would change the
 * chances of all others. Replacing moves a sum by up to 2C, so the same noise is worth about half as much as with Poisson sampling.
 *
 * @throws ERR_INVALID_ARGUMENT when `batchSize` is not a whole number above 0.
 */
export function fixedSize(options: { batchSize: number }): MemorylessSampler {
  const batchSize = batchSizeOf('fixedSize', options);
  const neighboursHere = ['replace'] as const;
  const draw = (records: number, random: RandomSource): Int32Array => {
    rateOf('fixedSize', batchSize, records);
    return uniformRecords(records, batchSize, random);
  };
  return Object.freeze<MemorylessSampler>({
    kind: 'fixedSize',
    batchSize,
    neighbours: neighboursHere,
    steps: (records, epochs) => stepsOf('fixedSize', batchSize, records, epochs),
    event(noiseMultiplier, records, count = 1, neighbours) {
      soundNeighbours('fixedSize', neighbours, neighboursHere);
      return fixedSizeGaussian(rateOf('fixedSize', batchSize, records), noiseMultiplier, count);
    },
    draw,
    open: memoryless(draw),
  });
}
