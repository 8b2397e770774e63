// The yardstick of language models: how often each token occurs, and nothing of what stands before it.

import type { TokenDataset } from '../../data';
import { IGNORED_LABEL } from '../../data/text/tokens';

/** Some of the records of a data set. */
export interface FirstRecords {
  readonly of: TokenDataset;
  /** How many, from the first on. */
  readonly count: number;
}

/**
 * Perplexity on `held` of shares counted in `train`, one added to every count. Counted without noise: a yardstick, not a release.
 */
export function unigramPerplexity(train: FirstRecords, held: FirstRecords): number {
  const counts = new Float64Array(train.of.vocabularySize).fill(1);
  each(train, (token) => (counts[token]! += 1));
  const total = counts.reduce((sum, count) => sum + count, 0);
  let [loss, tokens] = [0, 0];
  each(held, (token) => {
    loss -= Math.log(counts[token]! / total);
    tokens += 1;
  });
  return Math.exp(loss / Math.max(1, tokens));
}

// Every token that a causal model is asked for: the first of a text is predicted by nothing.
function each({ of: data, count }: FirstRecords, use: (token: number) => void): void {
  for (let record = 0; record < count; record++)
    for (let sequence = 0; sequence < data.sequencesOf(record); sequence++)
      for (const label of data.labels(record, sequence).subarray(1)) if (label !== IGNORED_LABEL) use(label);
}
