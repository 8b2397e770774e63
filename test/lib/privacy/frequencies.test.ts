// Frequencies for Re-Attention: where they come from is said and paid for, and raw counts have no way in.

import { SequenceDataset } from '../../../lib/data';
import {
  abadi,
  accounting,
  external,
  type Frequencies,
  frequencies,
  poisson,
  privacyStatement,
} from '../../../lib/privacy';
import { noisyDocumentFrequency } from '../../../lib/privacy/histogram';
import type { ReAttentionOptions } from '../../../lib/nn';
import { NoiseSource } from '../../../lib/privacy/noise-source';
import { engineFor, histories, ITEMS, optimizers, smallModel, weights } from './fixture';

const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }) as Error;
const shares = Float64Array.from({ length: ITEMS + 1 }, (_, i) => 1 / (1 + i));
const attentive = (reAttention: ReAttentionOptions | boolean = true) => smallModel({ reAttention, blocks: 2 });

/** Four steps over the fixture's histories; the engine and what the model ended with. */
function train(
  model: ReturnType<typeof smallModel>,
  options: Parameters<typeof engineFor>[1] = {},
  data = histories(),
) {
  const engine = engineFor(model, options);
  const optimizer = engine.attach(optimizers.adam(model));
  for (const batch of engine.batches(data)) optimizer.step({ loss: model.loss(batch) });
  return engine;
}

describe('what may be said', () => {
  test.each([
    ['a list of counts', [0, 12, 3] as unknown as Frequencies],
    ['a typed array of counts', Float64Array.of(0, 12, 3) as unknown as Frequencies],
    ['a look-alike', { provenance: 'public', probability: shares }],
    ['a histogram that nobody checked', { provenance: 'privateHistogram', noiseMultiplier: 1e9, maxItems: 1 }],
  ])('%s is refused', (_, counts) => {
    expect(() => engineFor(attentive(), { frequencies: counts as Frequencies })).toThrow(refused);
  });

  test('public frequencies are shares: a count, a negative number and NaN are refused', () => {
    for (const wrong of [2, -0.1, NaN]) expect(() => frequencies.public([0, 0.5, wrong])).toThrow(refused);
    expect(frequencies.public([99, 0.5, 1]).probability).toEqual(Float64Array.of(99, 0.5, 1)); // padding is not read
    for (const options of [{ noiseMultiplier: 0 }, { maxItems: 0 }, { sigma: 3 }])
      expect(() => frequencies.privateHistogram(options as never)).toThrow(refused);
  });

  test('a vocabulary of another size is refused at attach, before anything is trained', () => {
    const model = attentive();
    const before = weights(model);
    const engine = engineFor(model, { frequencies: frequencies.public(shares.subarray(1)) });
    expect(() => engine.attach(optimizers.adam(model))).toThrow(refused);
    expect(weights(model)).toEqual(before);
    const other = SequenceDataset.from(
      Array.from({ length: 40 }, () => [1, 2, 3]),
      7,
    );
    const counted = engineFor(attentive(), { frequencies: frequencies.privateHistogram() });
    expect(() => counted.batches(other)).toThrow(refused);
    expect(counted.ledger.events).toEqual([]);
  });

  test('a model without Re-Attention has no use for frequencies', () => {
    expect(() => engineFor(smallModel(), { frequencies: frequencies.public(shares) })).toThrow(refused);
    expect(() => engineFor(attentive({ correction: 'off' }), { frequencies: frequencies.public(shares) })).toThrow(
      refused,
    );
    expect(() => smallModel().setEffectiveError({} as never)).toThrow(refused);
  });

  test('a histogram needs data of the planned size with items in them, and a sampler that sees them', () => {
    const given = { frequencies: frequencies.privateHistogram() };
    const engine = engineFor(attentive(), given);
    expect(() => engine.batches(histories(39))).toThrow(refused);
    expect(() => engine.batches({ length: 40, pack: () => [] })).toThrow(refused);
    expect(engine.ledger.events).toEqual([]);
    expect(() => engineFor(attentive(), { ...given, sampler: external({ batchSize: 10 }) })).toThrow(refused);
  });
});

describe('what it costs', () => {
  test('a histogram is charged once, as it is released, and stands in ledger and statement', () => {
    const model = attentive();
    const given = frequencies.privateHistogram({ noiseMultiplier: 3, maxItems: 4 });
    const engine = engineFor(model, { frequencies: given });
    engine.attach(optimizers.adam(model));
    expect(engine.ledger.events).toEqual([]);
    engine.batches(histories());
    engine.batches(histories());
    expect(engine.ledger.events).toEqual([{ kind: 'gaussian', noiseMultiplier: 3, count: 1 }]);
    const { frequencies: said } = privacyStatement(engine, { unit: 'a history' });
    expect(said).toEqual({ provenance: 'privateHistogram', noiseMultiplier: 3, maxItems: 4 });
  });

  test.each([0.8, 3, 8])('with a target of %d, noise rises to pay for it and epsilon stays within', (epsilon) => {
    const options = { steps: 6, target: { epsilon, delta: 1e-3 }, records: 40 };
    const target = { ...options, noiseMultiplier: undefined } as never as Parameters<typeof engineFor>[1];
    const plain = engineFor(smallModel(), target);
    const engine = train(attentive(), { ...target, frequencies: frequencies.privateHistogram({ noiseMultiplier: 9 }) });
    expect(engine.plan.noiseMultiplier).toBeGreaterThan(plain.plan.noiseMultiplier);
    expect(engine.ledger.events).toHaveLength(2);
    const spent = engine.privacySpent().epsilon;
    expect(spent).toBeLessThanOrEqual(epsilon);
    expect(spent).toBeGreaterThan(0.99 * epsilon);
    expect(accounting.pld().epsilon(engine.ledger.events, 1e-3)).toBe(spent);
  });

  test('a histogram that costs more than the target is refused before anything is released', () => {
    const target = { noiseMultiplier: undefined, target: { epsilon: 0.1, delta: 1e-6 } } as never as object;
    expect(() =>
      engineFor(attentive(), { ...target, frequencies: frequencies.privateHistogram({ noiseMultiplier: 1 }) }),
    ).toThrow(expect.objectContaining({ code: 'ERR_PRIVACY_TARGET' }));
  });

  test('public frequencies cost nothing', () => {
    const engine = train(attentive(), { frequencies: frequencies.public(shares) });
    expect(engine.ledger.events).toHaveLength(1);
    expect(privacyStatement(engine, { unit: 'a history' }).frequencies).toEqual({ provenance: 'public' });
  });
});

describe('the histogram', () => {
  const noise = new NoiseSource(7);
  afterAll(() => noise.close());
  const histogram = (noiseMultiplier: number, maxItems: number) =>
    frequencies.privateHistogram({ noiseMultiplier, maxItems });

  test('with little noise it is the share of records that hold an item, however often, of their last items', () => {
    const data = SequenceDataset.from([[1, 1, 2], [2, 3], [2], [4, 4, 2, 1]], 5);
    const got = noisyDocumentFrequency(data, histogram(1e-6, 4), noise, 3);
    const want = [1, 2 / 4, 4 / 4, 1 / 4, 1 / 4];
    want.forEach((share, item) => expect(got[item]).toBeCloseTo(share, 4));
    expect(got[5]).toBeCloseTo(0, 4);
    expect(got[5]).toBeGreaterThan(0);
  });

  test('one record more moves the counts by at most the root of maxItems', () => {
    for (const distinct of [1, 4, 5, 100]) {
      const one = SequenceDataset.from([Array.from({ length: distinct }, (_, i) => i + 1)], 100);
      const moved = noisyDocumentFrequency(one, histogram(1e-9, 4), noise);
      const length = Math.hypot(...moved.subarray(1));
      expect(length).toBeLessThan(2 + 1e-6);
      expect(length).toBeGreaterThan(Math.min(2, Math.sqrt(distinct)) - 1e-6);
    }
  });

  test('every item of the vocabulary gets the noise, and nothing falls below it', () => {
    const [items, records] = [4000, 100_000];
    const sequences = Array.from({ length: records }, () => [] as number[]);
    const got = noisyDocumentFrequency(SequenceDataset.from(sequences, items), histogram(5, 20), noise);
    const sd = (5 * Math.sqrt(20)) / records;
    expect(Math.min(...got)).toBe(sd);
    // A normal variable is above its standard deviation with probability 0.1587.
    const above = got.subarray(1).filter((share) => share > sd).length / items;
    expect(Math.abs(above - 0.1587)).toBeLessThan(4 * Math.sqrt((0.1587 * 0.8413) / items));
  });
});

describe('what the model makes of it', () => {
  test('rare items are noisier, and the attribution check finds nothing', () => {
    const model = attentive();
    train(model, { frequencies: frequencies.public(shares), attributionCheck: true });
    const { weight, rows } = model.noiseVariance!;
    expect(Math.sqrt(weight)).toBeCloseTo(1 / 10, 12); // σ/B
    expect(rows[ITEMS]).toBeGreaterThan(rows[1]!);
    expect(Math.max(...rows)).toBeLessThanOrEqual(1);
  });

  test('without noise, and without an engine, attention is plain to the last bit', () => {
    const run = (reAttention: boolean): number[] => {
      const model = smallModel({ reAttention, blocks: 2 });
      train(model, {
        noiseMultiplier: 0,
        clip: abadi({ maxGradNorm: 1 }),
        ...(reAttention ? { frequencies: frequencies.public(shares) } : {}),
      });
      return weights(model);
    };
    expect(run(true)).toEqual(run(false));
  });

  test('removing one record moves the clipped sum by at most C with the correction on', () => {
    const error = { noiseMultiplier: 2, expectedBatchSize: 4, frequencies: frequencies.public(shares) };
    const released = (left: number): number[] => {
      const model = attentive();
      const all = histories();
      const kept = Array.from({ length: 40 }, (_, i) => i).filter((i) => i !== left);
      const data = {
        length: kept.length,
        pack: (ids: Int32Array, o: never) =>
          all.pack(
            ids.map((i) => kept[i]!),
            o,
          ),
      };
      const engine = engineFor(model, {
        records: kept.length,
        steps: 1,
        noiseMultiplier: 0,
        sampler: poisson({ batchSize: kept.length }),
        frequencies: frequencies.public(shares),
      });
      const before = weights(model);
      const optimizer = engine.attach(optimizers.sgd(model));
      model.setEffectiveError(error); // an engine without noise says that there is none
      expect(model.noiseVariance).not.toBeNull();
      for (const batch of engine.batches(data)) optimizer.step({ loss: model.loss(batch) });
      return weights(model).map((w, i) => ((before[i]! - w) / 0.5) * kept.length);
    };
    const all = released(-1);
    for (const left of [0, 7, 23]) {
      const other = released(left);
      const gap = Math.hypot(...all.map((x, i) => x - other[i]!));
      expect(gap).toBeLessThanOrEqual(1 + 1e-4);
      expect(gap).toBeGreaterThan(0.98);
    }
  });

  test.each(['adam', 'sgd'] as const)('a tracked error grows by what each step of %s adds', (kind) => {
    const model = attentive({ error: 'tracked' });
    const engine = engineFor(model, { frequencies: frequencies.public(shares) });
    const optimizer = engine.attach(optimizers[kind](model));
    const seen: number[] = [];
    for (const batch of engine.batches(histories())) {
      optimizer.step({ loss: model.loss(batch) });
      if (batch.completesStep) seen.push(model.noiseVariance!.weight);
    }
    expect(seen).toHaveLength(4);
    seen.forEach((variance, i) => expect(variance).toBeGreaterThan(seen[i - 1] ?? 0));
    // σC/B = 1/10 times the rate of 0.5; Adam's step of 0.01 is at most the rate where noise is nearly all that it sees.
    if (kind === 'sgd') expect(seen[3]).toBeCloseTo(4 * 0.05 ** 2, 10);
    else expect(Math.sqrt(seen[0]!)).toBeLessThanOrEqual(0.0105);
    const before = model.noiseVariance!.weight;
    engine.detach();
    engine.attach(optimizers[kind](model));
    expect(model.noiseVariance!.weight).toBe(before);
  });
});
