// Laws of the language model: blocks do not see each other, norms are exact, scores are the loss's own logits, drawing follows them.

import { pack, SequenceDataset } from '../../../lib/data';
import { CharTransformer, drawText } from '../../../lib/models';
import { frequencies, perSampleNorms, PrivacyEngine, poisson, normalize } from '../../../lib/privacy';
import { adam } from '../../../lib/optim';
import { noGrad } from '../../../lib/tensor';

const CHARACTERS = 12;
const data = SequenceDataset.from(
  [
    [1, 2, 3, 3, 5, 1],
    [6, 7, 12, 6, 6, 6],
    [8, 9, 10],
    [4, 4, 4, 4, 11, 2],
  ],
  CHARACTERS,
);
const model = (options: object = {}): CharTransformer =>
  new CharTransformer({
    ...{ characters: CHARACTERS, dim: 12, heads: 3, blocks: 2, maxLength: 5, dropout: 0 },
    ...options,
  });
const batchOf = (records: number[]) => pack(data, Int32Array.from(records), { rowBudget: 100, maxLength: 5 })[0]!;
const losses = (m: CharTransformer, records: number[]): Map<number, number> => {
  const batch = batchOf(records);
  const values = noGrad(() => m.loss(batch).toArray() as number[]);
  return new Map(values.map((value, b) => [batch.recordIds[b] as number, value]));
};

test.each([false, true])('the loss of a block does not depend on its neighbours (Re-Attention %s)', (reAttention) => {
  const m = model({ reAttention });
  const together = losses(m, [0, 1, 2, 3]);
  for (const record of [0, 1, 2, 3]) expect(losses(m, [record]).get(record)).toBeCloseTo(together.get(record)!, 5);
});

test('the loss of a block is the mean cross entropy of the scores after each of its beginnings', () => {
  const m = model();
  for (const record of [0, 2]) {
    const block = data.sequence(record);
    const each = Array.from({ length: block.length - 1 }, (_, k) => {
      const scores = m.scores(block.slice(0, k + 1)).slice(1); // without the padding column
      const lse = Math.log(scores.reduce((sum, z) => sum + Math.exp(z), 0));
      return lse - (scores[(block[k + 1] as number) - 1] as number);
    });
    const mean = each.reduce((sum, value) => sum + value, 0) / each.length;
    expect(losses(m, [record]).get(record)).toBeCloseTo(mean, 5);
  }
  expect(m.training).toBe(true);
});

test('norms of the blocks are those of their gradients, with and without noise in the weights', () => {
  for (const reAttention of [false, true]) {
    const m = model({ reAttention });
    const shares = frequencies.public(new Float64Array(CHARACTERS + 1).fill(0.3));
    if (reAttention) m.setEffectiveError({ noiseMultiplier: 4, expectedBatchSize: 8, frequencies: shares });
    const batch = batchOf([0, 1, 2, 3]);
    const fast = perSampleNorms(m, () => m.loss(batch)).norm;
    const slow = perSampleNorms(m, () => m.loss(batch), { gradients: 'materialize' }).norm;
    fast.forEach((norm, b) => expect(norm / (slow[b] as number)).toBeCloseTo(1, 4));
  }
});

test('an engine trains it, tells it of the noise, and the correction moves its scores', () => {
  const m = model({ reAttention: true });
  const before = m.scores(Int32Array.of(1, 2, 3));
  const engine = new PrivacyEngine(m, {
    ...{ records: data.length, steps: 1, noiseMultiplier: 3, sampler: poisson({ batchSize: 2 }) },
    ...{ clip: normalize({ maxGradNorm: 1 }), frequencies: frequencies.privateHistogram(), insecureSeed: 1 },
  });
  const optimizer = engine.attach(adam(m.parameters(), { lr: 0 }));
  for (const batch of engine.batches(data)) optimizer.step({ loss: m.loss(batch) });
  engine.close();
  expect(m.noiseVariance!.weight).toBeCloseTo((3 / 2) ** 2, 10);
  expect(Math.max(...m.scores(Int32Array.of(1, 2, 3)).map((score, i) => Math.abs(score - before[i]!)))).toBeGreaterThan(
    1e-7,
  );
  m.noiseVariance = null;
  expect(m.scores(Int32Array.of(1, 2, 3))).toEqual(before);
});

test('equal seeds draw equal texts, temperature 0 takes the best, frequencies follow the softmax', () => {
  const scores = Float32Array.from([9, Math.log(6), Math.log(3), Math.log(1)]);
  const fixed = { scores: () => scores };
  const start = Int32Array.of(2);
  expect([...drawText(fixed, start, { length: 4, temperature: 0 })]).toEqual([1, 1, 1, 1]);
  const drawn = drawText(fixed, start, { length: 20_000, seed: 3 });
  expect(drawText(fixed, start, { length: 20_000, seed: 3 })).toEqual(drawn);
  const share = (id: number): number => drawn.filter((one) => one === id).length / drawn.length;
  // Four standard deviations of a share of 20,000 draws are at most 0.0142.
  [0, 0.6, 0.3, 0.1].forEach((expected, id) => expect(Math.abs(share(id) - expected)).toBeLessThan(0.0142));
  // At temperature 1/2 the weights are squared: 36 : 9 : 1.
  const cold = drawText(fixed, start, { length: 20_000, temperature: 0.5, seed: 3 });
  expect(Math.abs(cold.filter((id) => id === 1).length / cold.length - 36 / 46)).toBeLessThan(0.0142);
});

test('a model reads at most its length of a longer context, and refuses an empty one', () => {
  const m = model();
  const long = Int32Array.of(9, 9, 1, 2, 3, 4, 5);
  expect(m.scores(long)).toEqual(m.scores(long.slice(2)));
  expect(() => m.scores(new Int32Array(0))).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  expect(() => model({ width: 3 })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});
