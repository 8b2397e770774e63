// A dropout mask belongs to a sample and a step: not to the batch, its order, its packing or the number of threads.

import { Dropout, Initializer, Segments, SelfAttention, withSegments } from '../../../lib/nn';
import { numThreads, ones, setNumThreads, type Tensor } from '../../../lib/tensor';
import { apart, numbers, ragged, sampler } from './support';

const draw = sampler(4);
const keysAndLengths = { keys: [11, 5, 42], lengths: [3, 6, 2] };

/** The mask (times 2) that each sample of the batch gets, by key. */
function masks(drop: Dropout, keys: number[], lengths: number[], step = 0): Map<number, number[]> {
  using segments = ragged(lengths, { keys, step });
  const out = withSegments(segments, () => drop.forward(ones([segments.rows, 16])));
  const parts = out.splitWithSizes(lengths);
  return new Map(keys.map((key, b) => [key, numbers(parts[b]!.contiguous())]));
}

test('samples keep their masks when they are permuted, split into micro-batches, or packed with others', () => {
  const drop = new Dropout(0.5, { init: new Initializer(1) });
  const { keys, lengths } = keysAndLengths;
  const whole = masks(drop, keys, lengths);
  const shuffled = masks(drop, [42, 11, 5], [2, 3, 6]);
  for (const [b, key] of keys.entries()) {
    expect(shuffled.get(key)).toEqual(whole.get(key));
    expect(masks(drop, [key], [lengths[b]!]).get(key)).toEqual(whole.get(key));
  }
});

test('the number of threads does not change the mask', () => {
  const drop = new Dropout(0.5, { init: new Initializer(1) });
  const before = numThreads();
  const { keys, lengths } = keysAndLengths;
  const results = [1, 4].map((threads) => {
    setNumThreads(threads);
    return masks(drop, keys, lengths);
  });
  setNumThreads(before);
  expect(results[0]).toEqual(results[1]);
});

test('another step, sample, site or seed gives another mask', () => {
  const init = new Initializer(1);
  const [first, second] = [new Dropout(0.5, { init }), new Dropout(0.5, { init })];
  const other = new Dropout(0.5, { init: new Initializer(2) });
  const mask = (drop: Dropout, key: number, step: number): string => String(masks(drop, [key], [8], step).get(key));
  const all = [mask(first, 1, 0), mask(first, 1, 1), mask(first, 2, 0), mask(second, 1, 0), mask(other, 1, 0)];
  expect(new Set(all).size).toBe(all.length);
});

test('a share p is dropped and the rest scaled by 1/(1 − p), so that the mean stays', () => {
  const drop = new Dropout(0.2, { init: new Initializer(9) });
  using segments = Segments.equal(100, 10, { recordIds: Array.from({ length: 100 }, (_, b) => b) });
  const values = numbers(withSegments(segments, () => drop.forward(ones([1000, 20]))));
  expect(new Set(values)).toEqual(new Set([0, Math.fround(1 / 0.8)]));
  const kept = values.filter((value) => value > 0).length / values.length;
  // Five standard errors of a share over 20,000 draws.
  expect(Math.abs(kept - 0.8)).toBeLessThan(5 * Math.sqrt((0.8 * 0.2) / values.length));
});

test('the gradient passes through the same mask', () => {
  const drop = new Dropout(0.5, { init: new Initializer(3) });
  using segments = ragged([4, 4], { keys: [1, 2] });
  const x = ones([8, 8], { requiresGrad: true });
  const out = withSegments(segments, () => drop.forward(x));
  out.sum().backward();
  expect(numbers(x.grad!)).toEqual(numbers(out.detach()));
});

test('evaluation drops nothing and needs no segments; training without segments is refused', () => {
  const drop = new Dropout(0.5).eval();
  const x = ones([2, 2]);
  expect(drop.forward(x)).toBe(x);
  expect(() => drop.train().forward(x)).toThrow(expect.objectContaining({ code: 'ERR_BATCH_DIMENSION' }));
  const attention = new SelfAttention(4, { dropout: 0.5 });
  expect(() => attention.forward(ones([1, 2, 4]))).toThrow(expect.objectContaining({ code: 'ERR_BATCH_DIMENSION' }));
  expect(attention.eval().forward(ones([1, 2, 4])).shape).toEqual([1, 2, 4]);
});

test('training in segments without record ids is refused: the mask would hang on who else was drawn', () => {
  const layers = [new Dropout(0.5), new SelfAttention(4, { dropout: 0.5 })];
  using nameless = Segments.equal(2, 3);
  using single = nameless.single();
  expect([nameless.keyed, single.keyed]).toEqual([false, false]);
  for (const layer of layers) {
    expect(() => withSegments(nameless, () => layer.forward(ones([6, 4])))).toThrow(
      expect.objectContaining({ code: 'ERR_BATCH_DIMENSION', message: expect.stringContaining('recordIds') }),
    );
    expect(() => withSegments(single, () => layer.forward(ones([2, 4])))).toThrow('recordIds');
    layer.eval();
    expect(withSegments(nameless, () => layer.forward(ones([6, 4]))).shape).toEqual([6, 4]);
  }
  using keyed = Segments.equal(2, 3, { recordIds: [7, 3], step: 5 });
  expect([keyed.keyed, keyed.step, keyed.sampleKeys.toArray()]).toEqual([true, 5, [7, 3]]);
  for (const layer of layers) withSegments(keyed, () => layer.train().forward(ones([6, 4])));
});

test('the mask of a record is the same with one record more in the batch', () => {
  const drop = new Dropout(0.5, { init: new Initializer(1) });
  const masked = (recordIds: number[]): number[][] => {
    using segments = Segments.equal(recordIds.length, 2, { recordIds, step: 3 });
    return withSegments(segments, () => drop.forward(ones([2 * recordIds.length, 8])))
      .view([recordIds.length, 16])
      .toArray() as number[][];
  };
  expect(masked([4, 9, 6])).toEqual([masked([4])[0], masked([9])[0], masked([6])[0]]);
});

test('attention dropout, too, depends on sample and step only', () => {
  const layer = new SelfAttention(8, { heads: 2, dropout: 0.5, dtype: 'float64', init: new Initializer(6) });
  const x = draw(9, 8);
  const run = (input: Tensor, lengths: number[], keys: number[], step: number): Tensor => {
    using segments = ragged(lengths, { keys, step });
    return withSegments(segments, () => layer.forward(input)).detach();
  };
  const both = run(x, [5, 4], [7, 8], 0);
  expect(apart(both.narrow(0, 5, 4).contiguous(), run(x.narrow(0, 5, 4).contiguous(), [4], [8], 0))).toBeLessThan(
    1e-14,
  );
  expect(apart(both, run(x, [5, 4], [7, 8], 1))).toBeGreaterThan(1e-3);
});
