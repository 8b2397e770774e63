// Baselines against counting by hand, and on real data against published floors.

import { fc, test as property } from '@fast-check/jest';
import { interactions, SequenceDataset } from '../../../lib/data';
import { markov } from '../../../lib/models/markov';
import { popularity } from '../../../lib/models/popularity';
import { evaluateRanking } from '../../../lib/tasks/ranking';
import { shared } from '../data/support';

const sequences = fc.array(fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 9 }), {
  minLength: 1,
  maxLength: 12,
});

describe('popularity', () => {
  property.prop([sequences])('scores every item by its number of training actions, whatever the history', (lists) => {
    const scorer = popularity(SequenceDataset.from(lists, 6));
    const flat = lists.flat();
    const expected = [1, 2, 3, 4, 5, 6].map((item) => flat.filter((other) => other === item).length);
    expect(Array.from(scorer.scores(Int32Array.of(3)).subarray(1))).toEqual(expected);
    expect(Array.from(scorer.scores(new Int32Array(0)).subarray(1))).toEqual(expected);
  });
});

describe('markov', () => {
  property.prop([sequences, fc.integer({ min: 1, max: 6 })])(
    'orders by followers of the last item, then by popularity',
    (lists, last) => {
      const dataset = SequenceDataset.from(lists, 6);
      const scores = markov(dataset).scores(Int32Array.of(2, last));
      const total = lists.flat().length;
      for (let item = 1; item <= 6; item++) {
        const followed = lists.reduce(
          (sum, list) => sum + list.filter((next, k) => k > 0 && next === item && list[k - 1] === last).length,
          0,
        );
        const share = lists.flat().filter((other) => other === item).length / total;
        expect(scores[item]).toBeCloseTo(followed + share, 5);
      }
    },
  );

  property.prop([sequences])('is popularity for an empty history', (lists) => {
    const dataset = SequenceDataset.from(lists, 6);
    const counts = popularity(dataset).scores(new Int32Array(0));
    const shares = markov(dataset).scores(new Int32Array(0));
    counts.forEach((count, item) => expect(shares[item]).toBeCloseTo(count / dataset.actions, 6));
  });
});

// Floors of the issue; validation items are held out as in the paper's cut of Amazon Games.
describe('real data, seen items excluded', () => {
  const cases = [
    {
      name: 'movielens/ml-1m-altties.txt.gz',
      users: 6040,
      items: 3416,
      actions: 987_531,
      popular: [0.039, 0.019],
      markovian: [0.189, 0.111],
    },
    {
      name: 'amazon-games/Video.txt.gz',
      users: 29_341,
      items: 23_464,
      actions: 222_263,
      popular: [0.019, 0.0097],
      markovian: [0.065, 0.04],
    },
  ];
  for (const { name, users, items, actions, popular, markovian } of cases) {
    test(`${name} has the paper's size, and the baselines reach their floors`, async () => {
      const path = shared(name);
      if (path === undefined) return;
      const start = performance.now();
      const data = await interactions(path);
      const seconds = (performance.now() - start) / 1000;
      const { train, test: last } = data.split({ validation: true });
      expect([data.users, data.itemCount, train.actions]).toEqual([users, items, actions]);
      expect(seconds).toBeLessThan(10); // 0.5 s alone on two cores; the bound only catches a reader that is ten times slower
      const byCount = evaluateRanking(popularity(train), last);
      expect(byCount.hit).toBeCloseTo(popular[0]!, 3);
      expect(byCount.ndcg).toBeCloseTo(popular[1]!, 3);
      const byLast = evaluateRanking(markov(train), last);
      expect(byLast.hit).toBeGreaterThanOrEqual(markovian[0]!);
      expect(byLast.ndcg).toBeGreaterThanOrEqual(markovian[1]!);
    });
  }

  test('MovieLens-100K in its raw form: 943 users, 1,682 items', async () => {
    const path = shared('movielens/ml-100k-u.data.gz');
    if (path === undefined) return;
    const data = await interactions(path);
    expect([data.users, data.itemCount, data.actions]).toEqual([943, 1682, 100_000]);
    expect(data.vocabulary).toBe('data');
  });
});
