// Laws of the output bias: log p̂ on the logits, fixed, told by an engine, and off where nothing is known.

import { SequenceDataset } from '../../../lib/data';
import { SequentialRecurrent, SequentialTransformer } from '../../../lib/models';
import { adam } from '../../../lib/optim';
import { clippedSum, external, frequencies, normalize, PrivacyEngine } from '../../../lib/privacy';
import { noGrad, type Tensor } from '../../../lib/tensor';
import { engineFor, histories, smallModel, weights } from '../privacy/fixture';

const ITEMS = 9;
const shared = { items: ITEMS, dim: 6, maxLength: 5, dropout: 0, seed: 3, outputBias: true } as const;
const data = SequenceDataset.from(
  [
    [1, 2, 3, 2, 5],
    [6, 7],
    [9, 8, 7, 6, 5, 4],
  ],
  ITEMS,
);
const shares = Float64Array.from({ length: ITEMS + 1 }, (_, i) => 1 / (2 + ((i * 5) % 7)));
const invalid = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }) as Error;
const models = [
  ['Transformer', (own = {}) => new SequentialTransformer({ ...shared, blocks: 1, ...own })],
  ['untied Transformer', (own = {}) => new SequentialTransformer({ ...shared, blocks: 1, tied: false, ...own })],
  ['GRU', (own = {}) => new SequentialRecurrent({ ...shared, cell: 'gru', ...own })],
] as const;

function losses(model: SequentialTransformer | SequentialRecurrent): number[] {
  const [batch] = data.pack(Int32Array.of(0, 1, 2), { rowBudget: 100, maxLength: 5 });
  return noGrad(() => model.loss(batch!).toArray() as number[]);
}

const known = (probability: ArrayLike<number>) =>
  ({ provenance: 'public', probability: Float64Array.from(probability) }) as const;

describe.each(models)('%s', (_name, make) => {
  test('scores are those without it, plus log p̂ normalised over the items', () => {
    const [plain, biased] = [make({ outputBias: false }), make()];
    biased.setFrequencies(known(shares));
    const total = shares.subarray(1).reduce((sum, p) => sum + p, 0);
    const [a, b] = [plain, biased].map((m) => m.scores(Int32Array.of(1, 4, 2))) as [Float32Array, Float32Array];
    for (let i = 1; i <= ITEMS; i++) expect(b[i]! - a[i]!).toBeCloseTo(Math.log(shares[i]! / total), 5);
  });

  test('a table of zeros scores by popularity: the loss is the cross entropy of p̂', () => {
    const model = make();
    model.setFrequencies(known(shares));
    noGrad(() => (model.head ?? model.items).weight.zero_());
    const total = shares.subarray(1).reduce((sum, p) => sum + p, 0);
    const expected = (targets: number[]): number =>
      targets.reduce((sum, item) => sum - Math.log(shares[item]! / total), 0) / targets.length;
    const [batch] = data.pack(Int32Array.of(0, 1, 2), { rowBudget: 100, maxLength: 5 });
    const targets = [[2, 3, 2, 5], [7], [8, 7, 6, 5, 4]];
    losses(model).forEach((loss, b) => expect(loss).toBeCloseTo(expected(targets[batch!.recordIds[b]!]!), 4));
  });

  test('neither the unit of the frequencies nor equal ones matter, and without any nothing is added', () => {
    const [biased, tenfold, equal, plain] = [make(), make(), make(), make({ outputBias: false })];
    biased.setFrequencies(known(shares));
    tenfold.setFrequencies(known(shares.map((p) => p / 8)));
    equal.setFrequencies(known(new Float64Array(ITEMS + 1).fill(0.3)));
    losses(biased).forEach((loss, b) => expect(losses(tenfold)[b]).toBeCloseTo(loss, 6));
    losses(plain).forEach((loss, b) => expect(losses(equal)[b]).toBeCloseTo(loss, 5));
    expect(losses(make())).toEqual(losses(plain));
    biased.setFrequencies(null);
    expect(losses(biased)).toEqual(losses(plain));
  });

  test('it is no parameter, and per-sample norms with it are those of materialised gradients', () => {
    const model = make();
    model.setFrequencies(known(shares));
    expect([...model.namedParameters()].map(([name]) => name)).toEqual(
      [...make({ outputBias: false }).namedParameters()].map(([name]) => name),
    );
    const [batch] = data.pack(Int32Array.of(0, 1, 2), { rowBudget: 100, maxLength: 5 });
    const run = (gradients: 'factors' | 'materialize') =>
      clippedSum(model, (): Tensor => model.loss(batch!), normalize({ maxGradNorm: 1 }), { gradients });
    const [fast, slow] = [run('factors'), run('materialize')];
    fast.norm.forEach((norm, b) => {
      expect(norm / slow.norm[b]!).toBeCloseTo(1, 5);
      expect(fast.bound[b]!).toBeGreaterThanOrEqual(slow.norm[b]! * (1 - 1e-6));
    });
  });
});

test('an engine tells it: public shares at attach, a histogram when the data are first seen', () => {
  const model = smallModel({ outputBias: true });
  const engine = engineFor(model, { frequencies: frequencies.privateHistogram({ noiseMultiplier: 1 }) });
  const optimizer = engine.attach(adam(model.parameters(), { lr: 0.01 }));
  expect(model.outputBias).toBeNull();
  for (const batch of engine.batches(histories())) optimizer.step({ loss: model.loss(batch) });
  const mass = model.outputBias!.slice(1).reduce((sum, b) => sum + Math.exp(b), 0);
  expect(mass).toBeCloseTo(1, 5);
  expect(engine.ledger.events.filter(({ kind }) => kind === 'gaussian')).toHaveLength(1);
  engine.close();
  const other = smallModel({ outputBias: true });
  engineFor(other, { frequencies: frequencies.public(new Float64Array(31).fill(0.5)) }).attach(
    adam(other.parameters()),
  );
  expect(other.outputBias![3]).toBeCloseTo(Math.log(1 / 30), 6);
});

test('uniform frequencies are no bias, bit for bit', () => {
  const trained = (outputBias: boolean): number[] => {
    const model = smallModel({ outputBias });
    const engine = engineFor(model, outputBias ? { frequencies: frequencies.uniform() } : {});
    const optimizer = engine.attach(adam(model.parameters(), { lr: 0.01 }));
    for (const batch of engine.batches(histories())) optimizer.step({ loss: model.loss(batch) });
    engine.close();
    return weights(model);
  };
  expect(trained(true)).toEqual(trained(false));
});

test('what is refused: no frequencies, others than the vocabulary, a share of 0, a bias for a model without', () => {
  expect(() => engineFor(smallModel({ outputBias: true }))).toThrow(invalid);
  const [, make] = models[0];
  for (const wrong of [shares.subarray(1), [0, ...shares]])
    expect(() => make().setFrequencies(known(wrong))).toThrow(invalid);
  for (const p of [0, NaN, Infinity]) {
    expect(() => make().setFrequencies(known(shares.map((q, i) => (i === 4 ? p : q))))).toThrow(invalid);
  }
  expect(() => (make({ outputBias: false }).outputBias = new Float32Array(ITEMS + 1))).toThrow(invalid);
  expect(() => (make().outputBias = new Float32Array(ITEMS))).toThrow(invalid);
  expect(() => make({ outputBias: 'yes' })).toThrow(invalid);
  const zero = smallModel({ outputBias: true });
  const engine = new PrivacyEngine(zero, {
    records: 40,
    steps: 1,
    noiseMultiplier: 1,
    sampler: external({ batchSize: 10 }),
    clip: normalize({ maxGradNorm: 1 }),
    frequencies: frequencies.public(new Float64Array(31)),
  });
  expect(() => engine.attach(adam(zero.parameters()))).toThrow(invalid);
});
