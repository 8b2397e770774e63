// Corpus BLEU with several references, as sacrebleu computes it.

import * as check from '../../check';
import { checkCorpus, mostCounts, ngramCounts } from './ngrams';
import { tokenize13a } from './tokenize';

export interface BleuOptions {
  /** Small letters before counting. Default false, as sacrebleu; true as in the E2E scripts (mteval-v13a without -c). */
  readonly lowercase?: boolean;
  /** `exp` (default): the k-th order without a match counts 1 / 2^k matches, as sacrebleu and mteval; `none`: then the score is 0. */
  readonly smoothing?: 'exp' | 'none';
  /** Default 4. */
  readonly maxOrder?: number;
}

export interface BleuResult {
  /** 0..100. */
  readonly score: number;
  /** Precision of each order, 0..100, smoothed. */
  readonly precisions: readonly number[];
  readonly brevityPenalty: number;
  /** Tokens of the texts, and of the closest references. */
  readonly length: number;
  readonly referenceLength: number;
}

/**
 * exp(Σ log p_n / N) · min(1, exp(1 - r / c)), tokens by {@link tokenize13a}; matches are clipped by the reference that has most of an n-gram,
 * r sums the lengths of the closest references, of equally close ones the shorter (Papineni et al. 2002, in the variant of Post 2018).
 *
 * @param references  For each text its references; their number may differ.
 * @throws ERR_INVALID_ARGUMENT where lists do not fit.
 */
export function bleu(
  texts: readonly string[],
  references: readonly (readonly string[])[],
  options: BleuOptions = {},
): BleuResult {
  check.onlyKnown('bleu', options, ['lowercase', 'smoothing', 'maxOrder']);
  const { lowercase = false, smoothing = 'exp', maxOrder = 4 } = options;
  check.oneOf('bleu', { smoothing }, ['exp', 'none']);
  check.integer('bleu', { maxOrder }, 1);
  checkCorpus('bleu', texts, references);
  const tokens = (text: string): string[] => tokenize13a(lowercase ? text.toLowerCase() : text);
  const [matches, totals] = [new Float64Array(maxOrder), new Float64Array(maxOrder)];
  let [length, referenceLength] = [0, 0];
  texts.forEach((text, k) => {
    const words = tokens(text);
    const known = references[k]!.map(tokens);
    length += words.length;
    referenceLength += closest(
      words.length,
      known.map((one) => one.length),
    );
    for (let n = 1; n <= maxOrder; n++) {
      const most = mostCounts(known, n);
      for (const [ngram, count] of ngramCounts(words, n)) {
        matches[n - 1]! += Math.min(count, most.get(ngram) ?? 0);
        totals[n - 1]! += count;
      }
    }
  });
  const precisions = smoothed(matches, totals, smoothing === 'exp');
  const brevityPenalty = length === 0 ? 0 : Math.min(1, Math.exp(1 - referenceLength / length));
  const logs = precisions.reduce((sum, precision) => sum + Math.log(precision), 0); // log 0 is -Infinity, and the score 0
  return { score: brevityPenalty * Math.exp(logs / maxOrder), precisions, brevityPenalty, length, referenceLength };
}

function closest(length: number, references: readonly number[]): number {
  return references.reduce((best, one) => {
    const [distance, least] = [Math.abs(one - length), Math.abs(best - length)];
    return distance < least || (distance === least && one < best) ? one : best;
  });
}

function smoothed(matches: Float64Array, totals: Float64Array, exponential: boolean): number[] {
  // Nothing at all matches: sacrebleu does not smooth that into a score.
  if (matches.every((count) => count === 0)) return Array.from(matches, () => 0);
  let share = 1;
  return Array.from(matches, (count, n) => {
    if (totals[n] === 0) return 0;
    if (count > 0) return (100 * count) / totals[n]!;
    if (!exponential) return 0;
    share /= 2;
    return (100 * share) / totals[n]!;
  });
}
