// Balls and bins: every record falls into one random batch of a pass, once for the whole run.

import { ballsAndBinsGaussian } from '../accounting/events';
import * as check from '../../check';
import { raise } from '../../errors';
import { batchesAPass, batchSizeOf, type DrawingSampler, soundNeighbours } from './sampler';
import { below } from './uniform';

/** Repeatable sources number their streams by step; the assignment has one of its own. */
const ASSIGNMENT_STREAM = 2 ** 52;

/**
 * ceil(N / B) batches, visited in turn pass after pass, every record in the one that it fell into. As regular as shuffling, and with a
 * certified ε of its own. The assignment is drawn once and kept: it belongs into a checkpoint, and is as private as the data.
 *
 * @throws ERR_INVALID_ARGUMENT when `batchSize` is not a whole number above 0.
 * @see Chua et al. 2025, arXiv 2412.16802
 */
export function ballsAndBins(options: { batchSize: number }): DrawingSampler {
  const batchSize = batchSizeOf('ballsAndBins', options);
  const neighboursHere = ['addRemove', 'zeroOut'] as const;
  const binsOf = (records: number): number => batchesAPass('ballsAndBins', batchSize, records);
  return Object.freeze<DrawingSampler>({
    kind: 'ballsAndBins',
    batchSize,
    neighbours: neighboursHere,
    steps(records, epochs) {
      check.positive('ballsAndBins', { epochs });
      return Math.ceil(epochs * binsOf(records));
    },
    event: (noiseMultiplier, records, count = 1, neighbours) =>
      ballsAndBinsGaussian(
        binsOf(records),
        noiseMultiplier,
        count,
        soundNeighbours('ballsAndBins', neighbours, neighboursHere),
      ),
    open(records, random, kept) {
      const bins = binsOf(records);
      let assignment = kept ?? null;
      if (assignment !== null && (assignment.length !== records || assignment.some((bin) => bin < 0 || bin >= bins))) {
        raise(
          'ERR_INVALID_ARGUMENT',
          `ballsAndBins: the kept assignment is not one of ${records} records to ${bins} bins.`,
        );
      }
      return {
        batch(step) {
          if (assignment === null) {
            if (step > 0 && random.insecureSeed === undefined) {
              raise(
                'ERR_ENGINE_STATE',
                'ballsAndBins: the assignment of the steps before is lost; continue with the state that the run kept.',
              );
            }
            random.startStep(ASSIGNMENT_STREAM);
            assignment = Int32Array.from({ length: records }, () => below(bins, random));
          }
          const bin = step % bins;
          const drawn: number[] = [];
          for (let id = 0; id < records; id++) if (assignment[id] === bin) drawn.push(id);
          return Int32Array.from(drawn);
        },
        get state() {
          return assignment;
        },
      };
    },
  });
}
