// n-grams of token lists, with how often each occurs.

import * as check from '../../check';
import { raise } from '../../errors';

/** Tokens hold no NUL, so that joined n-grams cannot be mistaken for each other. */
const JOINT = '\0';

export function ngramCounts(tokens: readonly string[], n: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let at = 0; at + n <= tokens.length; at++) {
    const ngram = tokens.slice(at, at + n).join(JOINT);
    counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
  }
  return counts;
}

/** The n-gram without its last token; '' of a single token. */
export function beginning(ngram: string): string {
  return ngram.slice(0, Math.max(0, ngram.lastIndexOf(JOINT)));
}

/** For each n-gram the most that any one of the lists has. */
export function mostCounts(lists: readonly (readonly string[])[], n: number): Map<string, number> {
  const most = new Map<string, number>();
  for (const tokens of lists) {
    for (const [ngram, count] of ngramCounts(tokens, n)) most.set(ngram, Math.max(count, most.get(ngram) ?? 0));
  }
  return most;
}

/** @throws ERR_INVALID_ARGUMENT unless there are as many lists of references as texts, at least one, and one reference for each text. */
export function checkCorpus(
  operation: string,
  texts: readonly string[],
  references: readonly (readonly string[])[],
): void {
  check.texts(operation, { texts });
  check.list(operation, { references });
  references.forEach((list, k) => check.texts(operation, { [`references[${k}]`]: list }));
  if (texts.length !== references.length || texts.length === 0) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `${operation}: needs a list of references for every text, at least one, got ${references.length} for ${texts.length}.`,
    );
  }
  const none = references.findIndex((list) => list.length === 0);
  if (none >= 0) raise('ERR_INVALID_ARGUMENT', `${operation}: text ${none} has no reference.`);
}
