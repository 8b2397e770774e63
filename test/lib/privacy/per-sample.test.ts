// Norms and clipped sums without an engine: both roads agree, groups hold, and the model is left as it was.

import { data, models, nn, privacy, tensor, type Tensor } from '../../../lib';

const sequences = [
  [1, 2, 3, 2, 1],
  [4, 4, 4],
  [5, 1, 2, 6, 7, 3, 1],
  [2, 3],
].map((items) => Int32Array.from(items));
const train = data.SequenceDataset.from(sequences, 8);
const batch = train.pack(Int32Array.of(0, 1, 2, 3), { rowBudget: 1000 })[0]!;
const makeModel = (): models.SequentialTransformer =>
  new models.SequentialTransformer({ items: 8, dim: 8, blocks: 2, maxLength: 8, dropout: 0 });

const flat = (sums: ReadonlyMap<string, Tensor>): number[] =>
  [...sums.values()].flatMap((sum) => [...(sum.toTypedArray() as Float64Array)]);

test('norms from factors equal those of materialised gradients, over all parameters and over each', () => {
  const model = makeModel();
  const loss = (): Tensor => model.loss(batch);
  const fast = privacy.perSampleNorms(model, loss);
  const slow = privacy.perSampleNorms(model, loss, { gradients: 'materialize' });
  expect([...fast.parameters.keys()]).toEqual([...model.namedParameters()].map(([name]) => name));
  fast.norm.forEach((norm, b) => {
    expect(norm / (slow.norm[b] as number)).toBeCloseTo(1, 5);
    expect(fast.bound[b]).toBeGreaterThanOrEqual(slow.norm[b]! * (1 - 1e-6));
    const parts = [...fast.parameters.values()].map((values) => values[b] as number);
    expect(Math.hypot(...parts) / norm).toBeCloseTo(1, 12);
  });
});

test.each([
  ['all parameters', privacy.abadi({ maxGradNorm: 0.5 })],
  ['each layer', privacy.normalize({ maxGradNorm: 0.5, groups: privacy.perLayer() })],
])('the clipped sum over %s is the sum of what each sample adds alone, and neither leaves its bound', (_name, clip) => {
  const model = makeModel();
  const all = privacy.clippedSum(model, () => model.loss(batch), clip);
  const alone = sequences.map((_, record) => {
    const own = train.pack(Int32Array.of(record), { rowBudget: 1000 })[0]!;
    return flat(privacy.clippedSum(model, () => model.loss(own), clip).sums);
  });
  const total = flat(all.sums);
  for (const one of alone) expect(Math.hypot(...one)).toBeLessThanOrEqual(0.5);
  total.forEach((value, i) => {
    expect(Math.abs(value - alone.reduce((sum, one) => sum + (one[i] as number), 0))).toBeLessThan(1e-5);
  });
  for (const [name, sum] of all.sums) {
    expect(sum.shape).toEqual([...model.namedParameters()].find(([own]) => own === name)![1].shape);
  }
});

test('a sample that is not finite is dropped in every group, and the others stay', () => {
  const model = makeModel();
  const spoilt = (): Tensor => model.loss(batch).mul(tensor([1, NaN, 1, 1]));
  const clip = privacy.abadi({ maxGradNorm: 1, groups: privacy.perLayer() });
  const { factors, sums } = privacy.clippedSum(model, spoilt, clip);
  for (const row of factors) {
    expect(row[1]).toBe(0);
    expect(row[0]).toBeGreaterThan(0);
  }
  expect(flat(sums).every(Number.isFinite)).toBe(true);
});

test('parameters keep their values, and an engine can be attached afterwards', () => {
  const model = makeModel();
  const before = model.parameters().map((parameter) => parameter.toArray());
  privacy.clippedSum(model, () => model.loss(batch), privacy.abadi({ maxGradNorm: 1 }));
  expect(model.parameters().map((parameter) => parameter.toArray())).toEqual(before);
  expect(() => privacy.perSampleNorms(model, () => model.loss(batch).sum())).toThrow(
    expect.objectContaining({ code: 'ERR_LOSS_SHAPE' }),
  );
  expect(() => privacy.perSampleNorms(model, () => model.loss(batch))).not.toThrow();
});

test('a parameter without a rule is refused by name', () => {
  class Scaled extends nn.Module {
    readonly layer = new nn.Linear(2, 2);
    readonly scale = new nn.Parameter(tensor([1, 2]));
    forward = (x: Tensor): Tensor => this.layer.forward(x).mul(this.scale).sum([1]);
  }
  const model = new Scaled();
  const x = tensor([
    [1, 2],
    [3, 4],
  ]);
  expect(() => privacy.perSampleNorms(model, () => model.forward(x))).toThrow(
    expect.objectContaining({
      code: 'ERR_NO_GRADIENT_RULE',
      message: expect.stringMatching(/scale .*MulBackward0/) as string,
    }),
  );
});

test('no sample adds more than C where its factor is at the end of what float32 holds', () => {
  class Zero extends nn.Module {
    readonly layer = new nn.Linear(4, 3, { bias: false, std: 0 });
  }
  const added = (maxGradNorm: number, x: number): number => {
    const model = new Zero();
    const loss = (): Tensor =>
      nn.meanSquaredError(model.layer.forward(tensor([[x, x, x, x]])), tensor([[2e18, 2e18, 2e18]]));
    const { sums, norm } = privacy.clippedSum(model, loss, privacy.normalize({ maxGradNorm }));
    expect(norm[0]).toBeGreaterThan(1e37);
    model.dispose();
    return Math.hypot(...flat(sums)) / maxGradNorm;
  };
  for (let k = 0; k < 12; k++) {
    const x = 4e18 * (1 + k / 12);
    expect(added(1e9, x)).toBeGreaterThan(0.99);
    for (const maxGradNorm of [1e9, 1e-2, 1e-6, 1e-7]) expect(added(maxGradNorm, x)).toBeLessThanOrEqual(1);
  }
});
