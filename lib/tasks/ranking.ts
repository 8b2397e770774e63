// HIT@k and NDCG@k of next-item prediction, ranking every item of the vocabulary (no sampled negatives).

import * as check from '../check';
import type { EvaluationSet } from '../data/sequences';
import { raise } from '../errors';
import type { Scorer } from '../models/scorer';

/** How items with the target's score count: behind it, before it, or half of them before it. */
export type Ties = 'optimistic' | 'pessimistic' | 'average';

export interface Accuracy {
  /** Share of users whose target is among the first k, (35). */
  readonly hit: number;
  /** Mean of 1 / log2(rank + 1) over users whose target is among the first k, 0 for the others, (36)-(37). */
  readonly ndcg: number;
}

export interface RankingResult extends Accuracy {
  readonly k: number;
  readonly users: number;
  /** The convention of `hit` and `ndcg`. */
  readonly seen: 'excluded' | 'included';
  /** Both conventions, from the same scores. */
  readonly excludingSeen: Accuracy;
  readonly includingSeen: Accuracy;
}

export interface RankingOptions {
  /** Default 10. */
  readonly k?: number;
  /** Rank items of the user's history too (the paper's tables may do so). Default false. */
  readonly includeSeen?: boolean;
  /** Default `average`: a scorer that gives every item the same score gets no credit. */
  readonly ties?: Ties;
  /** Histories a call to `scoresBatch`. Default 128. */
  readonly batchSize?: number;
  /** Called after each batch with the number of users done. */
  readonly onProgress?: (done: number, users: number) => void;
}

/**
 * Rank of the target, from 1. Excluded items do not count; the target always does, even when it is listed as excluded.
 *
 * @param scores  Scores of the items, from index `from` on.
 * @throws ERR_NOT_FINITE when a score is NaN: a comparison with NaN is false, which would put the target first.
 */
export function rankOf(
  scores: ArrayLike<number>,
  target: number,
  excluded: Iterable<number>,
  ties: Ties,
  from = 0,
): number {
  const counts = countAbove(scores, target, from);
  return place(without(counts, scores, target, new Set(excluded)), ties);
}

/** HIT@k and NDCG@k of one rank; with one relevant item the ideal DCG is 1. */
export function accuracyAt(rank: number, k: number): Accuracy {
  return rank <= k ? { hit: 1, ndcg: 1 / Math.log2(rank + 1) } : { hit: 0, ndcg: 0 };
}

/**
 * Scores every history of the set and ranks its target among all items.
 *
 * Test metrics are computed from private data without noise: no privacy budget covers them.
 *
 * @throws ERR_INVALID_ARGUMENT when the scorer knows another number of items than the set, or options are out of range.
 * @throws ERR_NOT_FINITE when a score is NaN.
 */
export function evaluateRanking(scorer: Scorer, set: EvaluationSet, options: RankingOptions = {}): RankingResult {
  check.object('evaluateRanking', { scorer });
  check.able('evaluateRanking', { set }, 'target', 'an evaluation set');
  check.onlyKnown('evaluateRanking', options, ['k', 'includeSeen', 'ties', 'batchSize', 'onProgress']);
  const { k = 10, includeSeen = false, ties = 'average', batchSize = 128, onProgress } = options;
  check.integer('evaluateRanking', { k }, 1);
  check.integer('evaluateRanking', { batchSize }, 1);
  check.oneOf('evaluateRanking', { ties }, ['optimistic', 'pessimistic', 'average']);
  if (scorer.itemCount !== set.itemCount)
    raise(
      'ERR_INVALID_ARGUMENT',
      `evaluateRanking: scorer and data must have the same items, got ${scorer.itemCount} and ${set.itemCount}.`,
    );
  const excluding = { hit: 0, ndcg: 0 };
  const including = { hit: 0, ndcg: 0 };
  for (let start = 0; start < set.length; start += batchSize) {
    const end = Math.min(start + batchSize, set.length);
    const rows = scoreRows(scorer, set, start, end);
    for (let i = start; i < end; i++) {
      const [scores, target] = [rows(i - start), set.target(i)];
      const all = countAbove(scores, target, 1);
      add(including, accuracyAt(place(all, ties), k));
      add(excluding, accuracyAt(place(without(all, scores, target, new Set(set.history(i))), ties), k));
    }
    onProgress?.(end, set.length);
  }
  const excludingSeen = mean(excluding, set.length);
  const includingSeen = mean(including, set.length);
  const chosen = includeSeen ? includingSeen : excludingSeen;
  return { ...chosen, k, users: set.length, seen: includeSeen ? 'included' : 'excluded', excludingSeen, includingSeen };
}

function scoreRows(scorer: Scorer, set: EvaluationSet, start: number, end: number): (row: number) => Float32Array {
  const width = scorer.itemCount + 1;
  if (scorer.scoresBatch === undefined) return (row) => sized(scorer.scores(set.history(start + row)), width);
  const histories = Array.from({ length: end - start }, (_, row) => set.history(start + row));
  const matrix = sized(scorer.scoresBatch(histories), width * histories.length);
  return (row) => matrix.subarray(row * width, (row + 1) * width);
}

function sized(scores: Float32Array, length: number): Float32Array {
  if (scores.length !== length)
    raise(
      'ERR_INVALID_ARGUMENT',
      `evaluateRanking: a scorer must return itemCount + 1 scores a history, expected ${length} values, got ${scores.length}.`,
    );
  return scores;
}

interface Counts {
  readonly greater: number;
  readonly equal: number;
}

/** Items other than the target with a greater and with an equal score. */
function countAbove(scores: ArrayLike<number>, target: number, from: number): Counts {
  const own = scores[target] as number;
  let greater = 0;
  let equal = 0;
  let nan = own !== own;
  for (let item = from; item < scores.length; item++) {
    const score = scores[item] as number;
    if (score > own) greater += 1;
    else if (score === own) equal += 1;
    else if (score !== score) nan = true;
  }
  if (nan) raise('ERR_NOT_FINITE', 'evaluateRanking: a score is NaN. Were the parameters finite after the last step?');
  return { greater, equal: equal - 1 };
}

function without(counts: Counts, scores: ArrayLike<number>, target: number, excluded: ReadonlySet<number>): Counts {
  const own = scores[target] as number;
  let { greater, equal } = counts;
  for (const item of excluded) {
    if (item === target) continue;
    const score = scores[item] as number;
    if (score > own) greater -= 1;
    else if (score === own) equal -= 1;
  }
  return { greater, equal };
}

function place({ greater, equal }: Counts, ties: Ties): number {
  if (ties === 'optimistic') return greater + 1;
  return greater + 1 + (ties === 'average' ? equal / 2 : equal);
}

function add(sum: { hit: number; ndcg: number }, one: Accuracy): void {
  sum.hit += one.hit;
  sum.ndcg += one.ndcg;
}

function mean(sum: Accuracy, users: number): Accuracy {
  return users === 0 ? { hit: 0, ndcg: 0 } : { hit: sum.hit / users, ndcg: sum.ndcg / users };
}
