// Ranks and metrics: the reference vectors exactly, and the laws of a ranking.

import { fc, test as property } from '@fast-check/jest';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EvaluationSet, flatten } from '../../../lib/data/sequences';
import type { PhantomgradError } from '../../../lib/errors';
import type { Scorer } from '../../../lib/models/scorer';
import { accuracyAt, evaluateRanking, rankOf, type Ties } from '../../../lib/tasks/ranking';

type Metrics = { rank: number; hit: number; ndcg: number };
interface Case {
  name: string;
  scores: number[];
  target: number;
  k: number;
  exclude: number[];
  expect: Record<Ties, Metrics>;
}

const vectors = JSON.parse(readFileSync(join(__dirname, '../../fixtures/vectors/ranking_metrics.json'), 'utf8')) as {
  cases: Case[];
  mean_over_cases: Record<Ties, Metrics>;
};

const TIES: Ties[] = ['optimistic', 'pessimistic', 'average'];
const code = (action: () => unknown): string | undefined => {
  try {
    action();
  } catch (error) {
    return (error as PhantomgradError).code;
  }
  return undefined;
};

describe('reference vectors', () => {
  test.each(vectors.cases.map((one) => [one.name, one] as const))('%s', (_, one) => {
    for (const ties of TIES) {
      const rank = rankOf(one.scores, one.target, one.exclude, ties);
      expect({ rank, ...accuracyAt(rank, one.k) }).toEqual(one.expect[ties]);
    }
  });

  test('the means over all cases', () => {
    for (const ties of TIES) {
      const all = vectors.cases.map((one) => accuracyAt(rankOf(one.scores, one.target, one.exclude, ties), one.k));
      const mean = (pick: 'hit' | 'ndcg'): number => all.reduce((sum, one) => sum + one[pick], 0) / all.length;
      expect(Math.abs(mean('hit') - vectors.mean_over_cases[ties].hit)).toBeLessThan(1e-15);
      expect(Math.abs(mean('ndcg') - vectors.mean_over_cases[ties].ndcg)).toBeLessThan(1e-15);
    }
  });
});

const scores = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 2, maxLength: 30 });

describe('a rank', () => {
  property.prop([scores, fc.nat(), fc.array(fc.nat(29), { maxLength: 10 })])(
    'equals its place in a sorted list',
    (values, at, listed) => {
      const target = at % values.length;
      const excluded = listed.filter((item) => item < values.length);
      const live = values.filter((_, item) => item === target || !excluded.includes(item)).sort((a, b) => b - a);
      const own = values[target]!;
      const [best, worst] = [live.indexOf(own) + 1, live.lastIndexOf(own) + 1];
      expect(TIES.map((ties) => rankOf(values, target, excluded, ties))).toEqual([best, worst, (best + worst) / 2]);
    },
  );

  test('is refused when any score is NaN, because a comparison with NaN would put the target first', () => {
    expect(code(() => rankOf([1, NaN, 3], 1, [], 'average'))).toBe('ERR_NOT_FINITE');
    expect(code(() => rankOf([1, NaN, 3], 0, [], 'average'))).toBe('ERR_NOT_FINITE');
    expect(rankOf([-Infinity, 1, Infinity], 1, [], 'average')).toBe(2);
  });
});

describe('evaluateRanking', () => {
  const set = new EvaluationSet(
    flatten(
      [
        [1, 2, 3],
        [4, 1, 4],
        [5, 2],
        [2, 2, 1],
      ],
      5,
    ),
  );
  const fixed = (values: number[], batched = false): Scorer => {
    const row = Float32Array.of(1e9, ...values); // index 0 must never be read
    const one: Scorer = { itemCount: values.length, scores: () => row };
    if (!batched) return one;
    return {
      ...one,
      scoresBatch: (histories) => Float32Array.from({ length: 6 * histories.length }, (_, k) => row[k % 6]!),
    };
  };

  test('averages over users, leaving out seen items by default but never the target', () => {
    const result = evaluateRanking(fixed([5, 4, 3, 2, 1]), set, { k: 2 });
    // excluded: 3 after {1,2} is first; 4 after {4,1} is third of {4,2,3,5}; 2 after {5} second; 1 after {2} first
    expect(result.excludingSeen).toEqual({ hit: 3 / 4, ndcg: (1 + 1 / Math.log2(3) + 1) / 4 });
    expect(result.includingSeen).toEqual({ hit: 2 / 4, ndcg: (1 / Math.log2(3) + 1) / 4 });
    expect(result).toMatchObject({ ...result.excludingSeen, seen: 'excluded', k: 2, users: 4 });
    const both = evaluateRanking(fixed([5, 4, 3, 2, 1]), set, { k: 2, includeSeen: true });
    expect(both).toMatchObject({ ...result.includingSeen, seen: 'included' });
  });

  test('gives a batched scorer and a single one the same result, for any batch size', () => {
    const expected = evaluateRanking(fixed([5, 4, 3, 2, 1]), set);
    for (const batchSize of [1, 3, 4, 100]) {
      expect(evaluateRanking(fixed([5, 4, 3, 2, 1], true), set, { batchSize })).toEqual(expected);
    }
  });

  test('gives a constant scorer no credit unless ties are counted for it', () => {
    expect(evaluateRanking(fixed([1, 1, 1, 1, 1]), set, { k: 1 }).hit).toBe(0);
    expect(evaluateRanking(fixed([1, 1, 1, 1, 1]), set, { k: 1, ties: 'optimistic' }).hit).toBe(1);
  });

  test('reports progress up to the number of users', () => {
    const done: number[] = [];
    evaluateRanking(fixed([5, 4, 3, 2, 1]), set, { batchSize: 3, onProgress: (users) => done.push(users) });
    expect(done).toEqual([3, 4]);
  });

  test('refuses scorers of another size, NaN scores and options out of range', () => {
    expect(code(() => evaluateRanking(fixed([1, 2, 3]), set))).toBe('ERR_INVALID_ARGUMENT');
    expect(code(() => evaluateRanking({ itemCount: 5, scores: () => new Float32Array(5) }, set))).toBe(
      'ERR_INVALID_ARGUMENT',
    );
    expect(code(() => evaluateRanking(fixed([1, 2, NaN, 4, 5]), set))).toBe('ERR_NOT_FINITE');
    expect(code(() => evaluateRanking(fixed([5, 4, 3, 2, 1]), set, { k: 0 }))).toBe('ERR_INVALID_ARGUMENT');
    expect(code(() => evaluateRanking(fixed([5, 4, 3, 2, 1]), set, { topK: 5 } as never))).toBe('ERR_INVALID_ARGUMENT');
    expect(code(() => evaluateRanking(fixed([5, 4, 3, 2, 1]), set, { ties: 'random' as never }))).toBe(
      'ERR_INVALID_ARGUMENT',
    );
  });
});
