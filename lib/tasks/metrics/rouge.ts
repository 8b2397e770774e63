// ROUGE-L: the longest common subsequence of words, as rouge-score computes it.

import { checkCorpus } from './ngrams';
import { tokenizeRouge } from './tokenize';

export interface RougeResult {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

/**
 * Mean over the texts of the best reference's ROUGE-L by F1 (Lin 2004, with β = 1; no stemming), each in 0..1.
 *
 * @throws ERR_INVALID_ARGUMENT where lists do not fit.
 */
export function rougeL(texts: readonly string[], references: readonly (readonly string[])[]): RougeResult {
  checkCorpus('rougeL', texts, references);
  const sum = { precision: 0, recall: 0, f1: 0 };
  texts.forEach((text, k) => {
    const words = tokenizeRouge(text);
    const scores = references[k]!.map((reference) => score(words, tokenizeRouge(reference)));
    const best = scores.reduce((most, one) => (one.f1 > most.f1 ? one : most));
    sum.precision += best.precision;
    sum.recall += best.recall;
    sum.f1 += best.f1;
  });
  const n = texts.length;
  return { precision: sum.precision / n, recall: sum.recall / n, f1: sum.f1 / n };
}

function score(text: readonly string[], reference: readonly string[]): RougeResult {
  const common = commonSubsequence(text, reference);
  if (common === 0) return { precision: 0, recall: 0, f1: 0 };
  const [precision, recall] = [common / text.length, common / reference.length];
  return { precision, recall, f1: (2 * precision * recall) / (precision + recall) };
}

function commonSubsequence(a: readonly string[], b: readonly string[]): number {
  let above = new Int32Array(b.length + 1);
  for (const word of a) {
    const row = new Int32Array(b.length + 1);
    for (let k = 1; k <= b.length; k++)
      row[k] = word === b[k - 1] ? above[k - 1]! + 1 : Math.max(above[k]!, row[k - 1]!);
    above = row;
  }
  return above[b.length]!;
}
