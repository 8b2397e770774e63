// The popularity baseline: every history gets the same scores, how often each item occurs in training.

import * as check from '../check';
import type { SequenceDataset } from '../data/sequences';
import type { Scorer } from './scorer';

/** How often each item occurs in the training histories: `[itemCount + 1]`, index 0 unused. Not private. */
export function itemCounts(train: SequenceDataset): Float64Array {
  const counts = new Float64Array(train.itemCount + 1);
  for (let record = 0; record < train.length; record++) for (const item of train.sequence(record)) counts[item]! += 1;
  return counts;
}

/** Scores items by their number of training actions. A yardstick, not a private mechanism: it uses raw counts. @throws ERR_INVALID_ARGUMENT */
export function popularity(train: SequenceDataset): Scorer {
  check.able('popularity', { train }, 'sequence', 'a data set of sequences');
  const scores = Float32Array.from(itemCounts(train));
  return { itemCount: train.itemCount, scores: () => scores };
}
