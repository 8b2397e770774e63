// Losses have one entry a sample, which depends on that sample only.

import { binaryCrossEntropy, crossEntropy, meanSquaredError, withSegments } from '../../../lib/nn';
import { type Tensor, tensor, torch } from '../../../lib/tensor';
import { apart, numbers, ragged, sampler } from './support';

const draw = sampler(6);
const { aten } = torch.ops;
const ids = (values: unknown): Tensor => tensor(values as number[], { dtype: 'int64' });

test('cross entropy of each sample is its mean over the positions that count', () => {
  const logits = draw(3, 4, 5);
  const targets = ids([
    [1, 2, 3, 4],
    [0, -100, 2, -100],
    [-100, -100, -100, -100],
  ]);
  const loss = crossEntropy(logits, targets);
  const rows = aten
    .cross_entropy_loss(logits.view([12, 5]), targets.view([12]), null, 0)
    .view([3, 4])
    .toArray() as number[][];
  const [a, b] = rows as [number[], number[]];
  const [first, second, third] = numbers(loss);
  expect(first).toBeCloseTo((a[0]! + a[1]! + a[2]! + a[3]!) / 4, 12);
  expect(second).toBeCloseTo((b[0]! + b[2]!) / 2, 12);
  expect(third).toBe(0);
  expect(numbers(crossEntropy(logits, targets, { reduction: 'sum' }))[1]).toBeCloseTo(b[0]! + b[2]!, 12);
});

test('on packed rows every loss sums the rows of a sample, the empty sample included', () => {
  const lengths = [2, 0, 3];
  using segments = ragged(lengths);
  const [x, y] = [draw(5, 4), draw(5, 4).sigmoid()];
  const losses: ((input: Tensor, target: Tensor) => Tensor)[] = [meanSquaredError, binaryCrossEntropy];
  for (const loss of losses) {
    const packed = numbers(withSegments(segments, () => loss(x, y)));
    expect(packed).toHaveLength(3);
    expect(packed[1]).toBe(0);
    let first = 0;
    for (const [b, length] of lengths.entries()) {
      if (length > 0) {
        const [alone] = numbers(loss(x.narrow(0, first, length).unsqueeze(0), y.narrow(0, first, length).unsqueeze(0)));
        expect(packed[b]).toBeCloseTo(alone!, 12);
      }
      first += length;
    }
  }
  const logits = draw(5, 6);
  const targets = ids([0, 1, 2, 3, 4]);
  const packed = withSegments(segments, () => crossEntropy(logits, targets, { labelSmoothing: 0.1 }));
  const alone = crossEntropy(logits.narrow(0, 2, 3).unsqueeze(0), targets.narrow(0, 2, 3).unsqueeze(0), {
    labelSmoothing: 0.1,
  });
  expect(numbers(packed)[2]).toBeCloseTo(numbers(alone)[0]!, 12);
});

test('the gradient of one entry stays inside its sample', () => {
  const x = draw(4, 3).requiresGrad_();
  const loss = meanSquaredError(x, draw(4, 3));
  loss.select(0, 2).backward();
  const gradient = x.grad!.abs().sum([1]);
  expect(numbers(gradient).map((value) => value > 0)).toEqual([false, false, true, false]);
});

test('formulas: squared error, and the logistic loss in its stable form', () => {
  const [x, y] = [draw(3, 2), draw(3, 2)];
  expect(apart(meanSquaredError(x, y), x.sub(y).pow(2).mean([1]))).toBeLessThan(1e-14);
  const logits = tensor([[0.5], [-800], [800]], { dtype: 'float64' });
  const targets = tensor([[1], [0], [0]], { dtype: 'float64' });
  const [a, b, c] = numbers(binaryCrossEntropy(logits, targets));
  expect(a).toBeCloseTo(Math.log1p(Math.exp(-0.5)), 14);
  expect([b, c]).toEqual([0, 800]);
});

test('an empty batch has a loss of shape [0]', () => {
  expect(meanSquaredError(draw(0, 3), draw(0, 3)).shape).toEqual([0]);
  expect(binaryCrossEntropy(draw(0, 3), draw(0, 3)).shape).toEqual([0]);
  expect(crossEntropy(draw(0, 3), ids([])).shape).toEqual([0]);
  using segments = ragged([]);
  expect(withSegments(segments, () => meanSquaredError(draw(0, 3), draw(0, 3))).shape).toEqual([0]);
});

test('targets of another shape are refused: broadcast, they would put the targets of all samples into the loss of each', () => {
  const refused = { code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('[4, 1]') };
  expect(() => meanSquaredError(draw(4, 1), draw(4))).toThrow(expect.objectContaining(refused));
  expect(() => binaryCrossEntropy(draw(4), draw(4, 1).sigmoid())).toThrow(expect.objectContaining(refused));
  expect(() => meanSquaredError(draw(4, 1), draw(1, 1))).toThrow(expect.objectContaining(refused));
  expect(() => crossEntropy(draw(4, 1, 5), ids([[0, 1, 2, 3]]))).toThrow(expect.objectContaining(refused));
});

test('rows that are not those of the segments, and an unknown reduction, are refused', () => {
  using segments = ragged([2, 2]);
  expect(() => withSegments(segments, () => meanSquaredError(draw(2, 3), draw(2, 3)))).toThrow(
    expect.objectContaining({ code: 'ERR_BATCH_DIMENSION' }),
  );
  expect(() => meanSquaredError(draw(2), draw(2), { reduction: 'median' as never })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
  );
});
