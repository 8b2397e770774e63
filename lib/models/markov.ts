// The first-order Markov baseline: what came next after the last item, backed off to popularity.

import * as check from '../check';
import type { SequenceDataset } from '../data/sequences';
import { itemCounts } from './popularity';
import type { Scorer } from './scorer';

/**
 * Scores item j after a history that ends in i by `count(i → j) + p(j)`, with p the share of j in all training actions: counts of
 * transitions decide, popularity breaks ties and stands in where i was never followed by anything, or the history is empty.
 * (That is the estimate (count + λ p) / (count(i) + λ) with λ = 1, without its constant denominator.) Not private.
 *
 * @throws ERR_INVALID_ARGUMENT for what is no data set of sequences.
 */
export function markov(train: SequenceDataset): Scorer {
  check.able('markov', { train }, 'sequence', 'a data set of sequences');
  const { itemCount } = train;
  const { offsets, next } = transitions(train);
  const share = itemCounts(train).map((count) => count / train.actions);
  const sums = new Float64Array(itemCount + 1); // float32 would lose the share beside the first few counts
  const scores = new Float32Array(itemCount + 1);
  return {
    itemCount,
    scores(history) {
      sums.set(share);
      const last = history[history.length - 1];
      const followers = last === undefined ? [] : next.subarray(offsets[last], offsets[last + 1]);
      for (const item of followers) sums[item]! += 1;
      scores.set(sums);
      return scores;
    },
  };
}

/** Followers of each item, with repeats: those of item i are `next[offsets[i] .. offsets[i + 1]]`. */
function transitions(train: SequenceDataset): { offsets: Int32Array; next: Int32Array } {
  const offsets = new Int32Array(train.itemCount + 2);
  const each = (visit: (from: number, to: number) => void): void => {
    for (let record = 0; record < train.length; record++) {
      const sequence = train.sequence(record);
      for (let k = 1; k < sequence.length; k++) visit(sequence[k - 1] as number, sequence[k] as number);
    }
  };
  each((from) => (offsets[from + 1]! += 1));
  for (let item = 0; item <= train.itemCount; item++) offsets[item + 1]! += offsets[item] as number;
  const next = new Int32Array(offsets[train.itemCount + 1] as number);
  const at = offsets.slice();
  each((from, to) => (next[at[from]!++] = to));
  return { offsets, next };
}
