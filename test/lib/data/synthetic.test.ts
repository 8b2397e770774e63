// Made-up histories: they follow their documented law, and the optimum is the Bayes rule of that law.

import { syntheticInteractions, syntheticOptimum } from '../../../lib/data';
import { LENGTHS, SEQUELS, syntheticLaw, type Law } from '../../../lib/data/synthetic/law';
import { Optimum } from '../../../lib/data/synthetic/optimum';
import { cumulate, pick, Prng } from '../../../lib/data/synthetic/prng';
import { markov } from '../../../lib/models/markov';
import { itemCounts, popularity } from '../../../lib/models/popularity';
import { evaluateRanking } from '../../../lib/tasks/ranking';
import { thrown } from './support';

const users = syntheticInteractions();
const { train, test: last } = users.split();
const law = syntheticLaw();

// Fingerprint of the default histories: whoever changes them changes every published number that rests on them.
const PINNED = '5e2c6376d6acdcedd4d4603c72777fb8fa697ae8de8ddf11abc15d1995b5f00d';

// Computed apart from Blackman and Vigna's definition.
const FIRST = [176324547, 2733444519, 2635781320, 295307718];

/** P(item | community, taken items in order) written down from the text of the law, without any shortcut. */
function restricted(law: Law, community: number, taken: number[]): number[] {
  const before = taken[taken.length - 1];
  const share = (item: number): number => {
    const genre = law.genreOf[item]!;
    const byTaste = law.tastes[community * law.genres + genre]! * law.weight[item]!;
    if (taken.includes(item)) return 0;
    if (before === undefined) return byTaste;
    const sequels = [0, 1, 2].filter((s) => law.sequels[before * SEQUELS + s] === item);
    const sequel = sequels.reduce((sum, s) => sum + law.sequelShares[s]!, 0);
    const mood = genre === law.genreOf[before] ? law.weight[item]! : 0;
    return law.follow * sequel + law.mood * mood + (1 - law.follow - law.mood) * byTaste;
  };
  const shares = Array.from({ length: law.items + 1 }, (_, item) => (item === 0 ? 0 : share(item)));
  const total = shares.reduce((a, b) => a + b, 0);
  return shares.map((one) => one / total);
}

describe('the histories', () => {
  test('are 15,000 users with 10 to 40 different items each out of 1,200', () => {
    expect([users.users, users.itemCount, users.vocabulary]).toEqual([15_000, 1200, 'catalogue']);
    const all = users.all();
    let actions = 0;
    for (let i = 0; i < all.length; i++) {
      const sequence = all.sequence(i);
      actions += sequence.length;
      if (new Set(sequence).size !== sequence.length) throw new Error(`user ${i} took an item twice`);
      if (sequence.length < LENGTHS.least || sequence.length > LENGTHS.most)
        throw new Error(`user ${i} has ${sequence.length}`);
    }
    expect(actions / all.length).toBeGreaterThan(20);
    expect(actions / all.length).toBeLessThan(22);
  });

  test('are the same on every platform and every time, and differ with the seed', () => {
    expect(users.all().fingerprint()).toBe(PINNED);
    const few = { users: 50, items: 200, genres: 5 };
    expect(syntheticInteractions(few).all().fingerprint()).toBe(syntheticInteractions(few).all().fingerprint());
    expect(syntheticInteractions(few).all().fingerprint()).not.toBe(
      syntheticInteractions({ ...few, seed: 2 })
        .all()
        .fingerprint(),
    );
  });

  test('take under a second of processor time to make', () => {
    const before = process.cpuUsage();
    syntheticInteractions();
    const { user, system } = process.cpuUsage(before); // of this process, whatever else the machine does
    expect((user + system) / 1e6).toBeLessThan(1); // 0.1 s measured
  });

  test('have a long tail: a tenth of the items gets a third of the actions, every item occurs', () => {
    const counts = Array.from(itemCounts(train).subarray(1)).sort((a, b) => b - a);
    const head = counts.slice(0, 120).reduce((a, b) => a + b, 0) / train.actions;
    expect(head).toBeGreaterThan(0.3);
    expect(head).toBeLessThan(0.45);
    expect(counts[0]! / counts[600]!).toBeGreaterThan(8);
    expect(counts.at(-1)).toBeGreaterThan(0);
  });

  test('start as the law says (chi-square over items of at least 20 expected)', () => {
    const expected = new Optimum(law).scores(new Int32Array(0));
    const firsts = new Float64Array(law.items + 1);
    for (let i = 0; i < train.length; i++) firsts[train.sequence(i)[0]!]! += 1;
    const cells = Array.from(expected.keys()).filter((item) => expected[item]! * train.length >= 20);
    const chi2 = cells.reduce(
      (sum, item) => sum + (firsts[item]! - expected[item]! * train.length) ** 2 / (expected[item]! * train.length),
      0,
    );
    expect(cells.length).toBeGreaterThan(50);
    expect(Math.abs(chi2 - cells.length) / Math.sqrt(2 * cells.length)).toBeLessThan(5);
  });

  test('options out of range are refused', async () => {
    for (const options of [{ users: 0 }, { items: 100 }, { genres: 3 }, { seed: -1 }, { seed: 0.5 }]) {
      expect(await thrown(() => syntheticInteractions(options))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
  });
});

describe('the law', () => {
  test('has weights, tastes and communities that sum to 1, and sequels of the same genre', () => {
    for (const genre of law.members) expect(genre.reduce((sum, item) => sum + law.weight[item]!, 0)).toBeCloseTo(1, 12);
    for (let t = 0; t < law.communities.length; t++) {
      expect(law.tastes.subarray(t * law.genres, (t + 1) * law.genres).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
    }
    expect(law.communities.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
    for (let item = 1; item <= law.items; item++) {
      const sequels = law.sequels.subarray(item * SEQUELS, (item + 1) * SEQUELS);
      expect(new Set([item, ...sequels]).size).toBe(SEQUELS + 1);
      expect(sequels.every((sequel) => law.genreOf[sequel] === law.genreOf[item])).toBe(true);
    }
  });
});

describe('the optimum', () => {
  test('is Bayes rule over communities, item by item', () => {
    const small = syntheticLaw({ seed: 3, items: 100, genres: 4 });
    const optimum = new Optimum(small);
    const histories = [
      [],
      [5],
      [5, small.sequels[5 * SEQUELS]!],
      [1, 2, 3, 4, 5, 6, 7, 8],
      Array.from(small.members[2]!.slice(0, 12)),
    ];
    for (const history of histories) {
      const posterior = small.communities.map((prior, t) =>
        history.reduce((product, item, k) => product * restricted(small, t, history.slice(0, k))[item]!, prior),
      );
      const total = posterior.reduce((a, b) => a + b, 0);
      const expected = Array.from({ length: 101 }, () => 0);
      posterior.forEach((share, t) =>
        restricted(small, t, history).forEach((p, item) => (expected[item]! += (share / total) * p)),
      );
      const scores = optimum.scores(Int32Array.from(history));
      expected.forEach((p, item) => expect(Math.abs(scores[item]! - p)).toBeLessThan(1e-7));
      posterior.forEach((share, t) =>
        expect(optimum.posterior(Int32Array.from(history))[t]).toBeCloseTo(share / total, 9),
      );
    }
  });

  test('knows its own chance: expected and measured HIT@10 agree within 4 standard errors', () => {
    const optimum = syntheticOptimum();
    let expected = 0;
    let variance = 0;
    const checked = 2000;
    let hits = 0;
    for (let i = 0; i < checked; i++) {
      const scores = optimum.scores(last.history(i));
      const top = Array.from(scores.keys())
        .sort((a, b) => scores[b]! - scores[a]!)
        .slice(0, 10);
      const chance = top.reduce((sum, item) => sum + scores[item]!, 0);
      expected += chance;
      variance += chance * (1 - chance);
      hits += Number(top.includes(last.target(i)));
    }
    expect(Math.abs(hits - expected) / Math.sqrt(variance)).toBeLessThan(4);
  });

  test('is far above Markov, and Markov far above popularity', () => {
    const [best, byLast, byCount] = [syntheticOptimum(), markov(train), popularity(train)].map((scorer) =>
      evaluateRanking(scorer, last),
    );
    expect(best!.hit).toBeGreaterThan(1.3 * byLast!.hit);
    expect(byLast!.hit).toBeGreaterThan(3 * byCount!.hit);
    expect(best!.ndcg).toBeGreaterThan(1.3 * byLast!.ndcg);
  });
});

describe('the pseudo-random numbers', () => {
  test('are xoshiro128** on the state that splitmix32 makes of seed and stream', () => {
    const random = new Prng(1, 0);
    expect(Array.from({ length: 4 }, () => random.uint32())).toEqual(FIRST);
    expect(new Prng(1, 1).uint32()).not.toBe(FIRST[0]);
  });

  test('pick follows its shares, and never a share of 0', () => {
    const random = new Prng(5);
    const seen = [0, 0, 0, 0];
    const shares = cumulate([0, 3, 0, 1]);
    for (let k = 0; k < 40_000; k++) seen[pick(shares, random)]! += 1;
    expect([seen[0], seen[2]]).toEqual([0, 0]);
    expect(Math.abs(seen[1]! - 30_000)).toBeLessThan(5 * Math.sqrt(40_000 * 0.75 * 0.25));
  });
});
