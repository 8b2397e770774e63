// Convolutions: LibTorch's values for every stride, padding, dilation and number of groups, and exact per-sample gradients.

import { fc, test as property } from '@fast-check/jest';
import { Conv1d, Conv2d, Initializer, Segments, withSegments } from '../../../lib/nn';
import { torch } from '../../../lib/tensor';
import { Random } from '../../csrc/ops/random';
import { seed, SEEDED } from '../../csrc/ops/shapes';
import { expectPerSample, normals, oneEach, own } from './per-sample';
import { numbers } from './support';

const { aten } = torch.ops;

const options = fc.record({
  stride: fc.constantFrom(1, 2, 3),
  padding: fc.constantFrom(0, 1, 2),
  dilation: fc.constantFrom(1, 2),
  bias: fc.boolean(),
});
const samples = fc.integer({ min: 0, max: 4 });
const channels = fc.constantFrom([1, 1, 1], [3, 2, 1], [4, 6, 2], [3, 3, 3]);

property.prop([samples, channels, fc.constantFrom(1, 2, 3), fc.constantFrom(5, 8, 17), options, seed], {
  ...SEEDED,
  numRuns: 40,
})('Conv1d is aten::conv1d, sample by sample', (count, [inputs, outputs, groups], kernel, length, chosen, start) => {
  const random = new Random(start);
  const module = new Conv1d(inputs, outputs, kernel, { ...chosen, groups: groups, dtype: 'float64' });
  const x = normals(random, count, inputs, length);
  const at = oneEach(count);
  const { stride, padding, dilation } = chosen;
  expectPerSample(
    {
      module,
      at,
      packed: start % 2 === 0,
      ours: () => ({ rows: module.forward(x) }),
      plain: ({ weight, bias }, b) => ({
        rows: aten.conv1d(own(x, at, b), weight!, bias ?? null, [stride], [padding], [dilation], groups),
      }),
    },
    random,
  );
});

const pair = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | [T, T]> => fc.oneof(values, fc.tuple(values, values));
const planar = fc.record({
  stride: pair(fc.constantFrom(1, 2)),
  padding: pair(fc.constantFrom(0, 1)),
  dilation: pair(fc.constantFrom(1, 2)),
  bias: fc.boolean(),
});
const both = (value: number | readonly number[]): number[] => (typeof value === 'number' ? [value, value] : [...value]);

property.prop([samples, channels, pair(fc.constantFrom(1, 2, 3)), fc.constantFrom([5, 7], [8, 5]), planar, seed], {
  ...SEEDED,
  numRuns: 40,
})('Conv2d is aten::conv2d, sample by sample', (count, [inputs, outputs, groups], kernel, size, chosen, start) => {
  const random = new Random(start);
  const module = new Conv2d(inputs, outputs, kernel, { ...chosen, groups: groups, dtype: 'float64' });
  const x = normals(random, count, inputs, ...size);
  const at = oneEach(count);
  const { stride, padding, dilation } = chosen;
  expectPerSample(
    {
      module,
      at,
      packed: start % 2 === 0,
      ours: () => ({ rows: module.forward(x) }),
      plain: ({ weight, bias }, b) => ({
        rows: aten.conv2d(own(x, at, b), weight!, bias ?? null, both(stride), both(padding), both(dilation), groups),
      }),
    },
    random,
  );
});

test('patches of images become rows of tokens: the embedding of a vision Transformer', () => {
  const module = new Conv2d(3, 5, 4, { stride: 4, dtype: 'float64' });
  const random = new Random(7);
  const images = normals(random, 2, 3, 8, 12);
  const tokens = module.forward(images).flatten(2).transpose(1, 2);
  expect(tokens.shape).toEqual([2, 6, 5]);
  const last = images.select(0, 1).narrow(1, 4, 4).narrow(2, 8, 4).reshape([1, 48]);
  const expected = last.matmul(module.weight.detach().view([5, 48]).t());
  const got = numbers(tokens.detach().select(0, 1).select(0, 5).contiguous());
  numbers(expected).forEach((value, i) => expect(got[i]).toBeCloseTo(value, 12));
});

test('parameters have PyTorch’s names and shapes; weights keep the variance, biases start at zero', () => {
  const conv = new Conv2d(4, 600, [3, 5], { groups: 2, init: new Initializer(3) });
  expect(Array.from(conv.namedParameters(), ([name, { shape }]) => [name, shape])).toEqual([
    ['weight', [600, 2, 3, 5]],
    ['bias', [600]],
  ]);
  const values = numbers(conv.weight);
  const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
  // Five standard errors of a variance of 18,000 draws.
  expect(Math.abs(variance * 30 - 1)).toBeLessThan(5 * Math.sqrt(2 / values.length));
  expect(numbers(conv.bias!).every((x) => x === 0)).toBe(true);
  expect(new Conv1d(2, 3, 4, { bias: false }).bias).toBeNull();
});

test.each<() => unknown>([
  () => new Conv1d(3, 4, 2, { groups: 2 }),
  () => new Conv1d(1, 1, 0),
  () => new Conv1d(1, 1, [2, 2]),
  () => new Conv2d(1, 1, 3, { stride: 0 }),
  () => new Conv2d(1, 1, 3, { padding: -1 }),
  () => new Conv1d(1, 1, 3).forward(torch.zeros([2, 1, 5, 5])),
  () => new Conv1d(1, 1, 3).forward(torch.zeros([1, 5])),
])('an impossible convolution is refused: %p', (make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});

test('images that are not those of the segments are refused', () => {
  using segments = Segments.equal(3);
  const conv = new Conv1d(1, 1, 1);
  expect(() => withSegments(segments, () => conv.forward(torch.zeros([2, 1, 5])))).toThrow(
    expect.objectContaining({ code: 'ERR_BATCH_DIMENSION' }),
  );
});
