// NIST: n-grams weighted by how much they tell, as mteval-v13a.pl defines it.

import * as check from '../../check';
import { beginning, checkCorpus, mostCounts, ngramCounts } from './ngrams';
import { tokenize13a } from './tokenize';

export interface NistOptions {
  /** Default true, as mteval and the E2E scripts. */
  readonly lowercase?: boolean;
  /** Default 5. */
  readonly maxOrder?: number;
}

/**
 * Σ_n (Σ information of matched n-grams) / (number of n-grams) · brevity (Doddington 2002, Eq. 2-3).
 *
 * Information of w_1 … w_n is log2(count(w_1 … w_n-1) / count(w_1 … w_n)) over all references, for single words log2(words / count). Matches are
 * clipped by the reference that has most of an n-gram, and the length of a reference is the mean over a text's references: mteval's choices.
 * (NLTK takes one best reference for each text and order instead; with one reference they agree.) Brevity is exp(β ln²(min(1, L_text / L_ref))),
 * with β such that it is 1/2 at 2/3.
 *
 * @returns 0 or more, no upper bound.
 * @throws ERR_INVALID_ARGUMENT where lists do not fit.
 */
export function nist(
  texts: readonly string[],
  references: readonly (readonly string[])[],
  options: NistOptions = {},
): number {
  check.onlyKnown('nist', options, ['lowercase', 'maxOrder']);
  const { lowercase = true, maxOrder = 5 } = options;
  check.integer('nist', { maxOrder }, 1);
  checkCorpus('nist', texts, references);
  const tokens = (text: string): string[] => tokenize13a(lowercase ? text.toLowerCase() : text);
  const known = references.map((list) => list.map(tokens));
  const words = texts.map(tokens);
  const information = informationOf(known.flat(), maxOrder);
  let score = 0;
  for (let n = 1; n <= maxOrder; n++) {
    let [gained, total] = [0, 0];
    words.forEach((text, k) => {
      const most = mostCounts(known[k]!, n);
      for (const [ngram, count] of ngramCounts(text, n)) {
        const matched = Math.min(count, most.get(ngram) ?? 0);
        if (matched > 0) gained += matched * information(ngram);
        total += count;
      }
    });
    if (total > 0) score += gained / total;
  }
  const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
  const length = sum(words.map((text) => text.length));
  const expected = sum(known.map((list) => sum(list.map((one) => one.length)) / list.length));
  return score * brevity(length, expected);
}

function informationOf(references: readonly (readonly string[])[], maxOrder: number): (ngram: string) => number {
  const counts = new Map<string, number>();
  for (const tokens of references) {
    for (let n = 1; n <= maxOrder; n++)
      for (const [ngram, count] of ngramCounts(tokens, n)) counts.set(ngram, (counts.get(ngram) ?? 0) + count);
    counts.set('', (counts.get('') ?? 0) + tokens.length); // what a single word begins with: nothing, as often as there are words
  }
  return (ngram) => Math.log2(counts.get(beginning(ngram))! / counts.get(ngram)!);
}

function brevity(length: number, expected: number): number {
  const ratio = expected === 0 ? 1 : length / expected;
  if (ratio >= 1) return 1;
  if (ratio === 0) return 0;
  const beta = Math.log(0.5) / Math.log(1.5) ** 2;
  return Math.exp(beta * Math.log(ratio) ** 2);
}
