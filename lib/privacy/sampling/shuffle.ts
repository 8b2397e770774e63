// Shuffled passes: every record exactly once a pass, in batches of B.

import { shuffledGaussian } from '../accounting/events';
import * as check from '../../check';
import { raise } from '../../errors';
import { batchesAPass, batchSizeOf, type DrawingSampler, soundNeighbours } from './sampler';
import { allRecords, shuffleFirst } from './uniform';

/**
 * The habit of most training loops. Its amplification has no proof that is worth having, so every pass is charged as one Gaussian
 * release of all records. Neighbours `zeroOut` only: adding a record would shift all batches after it. The last batch of a pass may be
 * smaller; the divisor stays B.
 *
 * @throws ERR_INVALID_ARGUMENT when `batchSize` is not a whole number above 0.
 */
export function shuffle(options: { batchSize: number }): DrawingSampler {
  const batchSize = batchSizeOf('shuffle', options);
  const neighboursHere = ['zeroOut'] as const;
  const stepsPerEpoch = (records: number): number => batchesAPass('shuffle', batchSize, records);
  return Object.freeze<DrawingSampler>({
    kind: 'shuffle',
    batchSize,
    neighbours: neighboursHere,
    steps(records, epochs) {
      check.positive('shuffle', { epochs });
      return Math.ceil(epochs * stepsPerEpoch(records));
    },
    event(noiseMultiplier, records, count = 1, neighbours) {
      soundNeighbours('shuffle', neighbours, neighboursHere);
      return shuffledGaussian(stepsPerEpoch(records), noiseMultiplier, count);
    },
    open(records, random, kept) {
      const steps = stepsPerEpoch(records);
      let order = kept ?? null;
      if (order !== null && (order.length !== records || new Set(order).size !== records)) {
        raise('ERR_INVALID_ARGUMENT', `shuffle: the kept order is not one of ${records} records.`);
      }
      // The epoch of `order`; a kept one is that of the step that is asked for first.
      let epoch = -1;
      return {
        batch(step) {
          const wanted = Math.floor(step / steps);
          if (epoch === -1 && kept !== undefined && step % steps !== 0) epoch = wanted;
          if (epoch !== wanted) {
            if (step % steps !== 0 && random.insecureSeed === undefined) {
              raise(
                'ERR_ENGINE_STATE',
                'shuffle: the order of the pass that this step belongs to is lost; continue with the state that the run kept.',
              );
            }
            random.startStep(wanted * steps); // a repeatable source gives a pass one order, wherever it is entered
            order = allRecords(records);
            shuffleFirst(order, records, random);
            epoch = wanted;
          }
          const at = (step % steps) * batchSize;
          return (order as Int32Array).slice(at, at + batchSize).sort();
        },
        get state() {
          return order;
        },
      };
    },
  });
}
