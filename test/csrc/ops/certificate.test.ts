// The certificate at the ends of the number range: gradients so small that their squares underflow in float32.

import { normalize } from '../../../lib/privacy/clip';
import { fromTypedArray, type Tensor, tensor, torch, zeros } from '../../../lib/tensor';
import { inSegments, ints, sampleSums, step, withBook } from './book';
import { expectCertified, expectClose, norm } from './numbers';
import { Random } from './random';

const ops = torch.ops.phantomgrad;
const [D, P] = [5, 7];
const SCALES = [1e-10, 1e-15, 1e-18, 1e-20, 1e-21, 1e-22, 1e-23, 1e-30, 1e-38, 1e-42, 1e-44];

interface Rows {
  readonly a: Float64Array;
  readonly g: Float64Array;
  readonly at: number[];
}

/** Rows of samples whose gradients are `scale` times normal numbers, as float32 holds them. */
function tiny(rows: number, scale: number, start = 1): Rows {
  const random = new Random(start);
  return { a: random.normals(rows * D), g: random.normals(rows * P, scale), at: [0, rows] };
}

const exactNorms = ({ a, g, at }: Rows): number[] => {
  const rows = at[at.length - 1]!;
  const gradients = ops.reference_linear(
    fromTypedArray(a, [rows, D]),
    zeros([P, D]),
    null,
    fromTypedArray(g, [rows, P]),
    ints(at),
  )[2]!;
  return at
    .slice(1)
    .map((_, b) => norm((gradients.toTypedArray() as Float64Array).subarray(b * P * D, (b + 1) * P * D)));
};

const weightLoss = (weight: Tensor, { a, g, at }: Rows): Tensor => {
  const rows = at[at.length - 1]!;
  const y = ops.linear(tensor(a, { dtype: 'float32', shape: [rows, D] }), weight);
  return sampleSums(y.mul(tensor(g, { dtype: 'float32', shape: [rows, P] })).sum([1]), at);
};

const leaf = (...shape: number[]): Tensor => zeros(shape).requiresGrad_();

test.each(SCALES)('a linear layer with gradients of %d is certified, by Gram matrix and by its gradient', (scale) => {
  for (const rows of [1, 4, 200]) {
    const data = tiny(rows, scale);
    const weight = leaf(P, D);
    const { bound } = step({ weight }, data.at, () => weightLoss(weight, data));
    expectCertified(bound, exactNorms(data));
  }
});

test.each(SCALES)('an embedding with gradients of %d is certified', (scale) => {
  const u = new Random(2).normals(6 * D, scale);
  const table = leaf(4, D);
  const ids = ints([0, 1, 1, 3, 3, 3]);
  const { bound } = step({ table }, [0, 6], () =>
    sampleSums(
      ops
        .embedding(ids, table)
        .mul(tensor(u, { dtype: 'float32', shape: [6, D] }))
        .sum([1]),
      [0, 6],
    ),
  );
  const gradient = ops.reference_embedding(ids, zeros([4, D]), fromTypedArray(u, [6, D]), ints([0, 6]))[1]!;
  expectCertified(bound, [norm(gradient.toTypedArray() as Float64Array)]);
});

test.each([20, 40, 60, 80])(
  'a target predicted with a margin of %d is certified on the residuals as they are stored',
  (margin) => {
    for (const rows of [2, 30]) {
      const [M, random] = [50, new Random(3)];
      const table = tensor(random.normals(M * D), { dtype: 'float32', shape: [M, D], requiresGrad: true });
      // A bias puts the target far above every other column: the others' probabilities are about e^-margin.
      const bias = tensor(
        Float64Array.from({ length: M }, (_, j) => (j === 7 ? margin : 0)),
        { dtype: 'float32' },
      );
      const hidden = tensor(random.normals(rows * D, 0.1), { dtype: 'float32', shape: [rows, D] });
      const targets = ints(Array.from({ length: rows }, () => 7));
      const { bound } = step({ table }, [0, rows], () =>
        ops.softmax_cross_entropy_head(hidden, table, targets, null, bias),
      );
      const [residual, kept] = ops.softmax_residual(hidden, table, targets, null, bias);
      const gradient = residual.to('float64').t().matmul(kept.to('float64'));
      expectCertified(bound, [norm(gradient.contiguous().toTypedArray() as Float64Array)]);
    }
  },
);

test('one entry that survives squaring beside many that do not: the bound covers them all', () => {
  const g = new Float64Array(P * 40).fill(Math.fround(2.5e-23));
  g[0] = Math.fround(1e-22);
  const data = { a: new Float64Array(D * 40).fill(1), g, at: [0, 40] };
  const weight = leaf(P, D);
  const { bound } = step({ weight }, data.at, () => weightLoss(weight, data));
  expectCertified(bound, exactNorms(data));
});

test('tiny rows of one factor times huge rows of the other are certified', () => {
  for (const rows of [3, 60]) {
    const data = tiny(rows, 1e-22);
    const big = { ...data, a: data.a.map((x) => Math.fround(1e15 * x)) };
    const weight = leaf(P, D);
    const { bound } = step({ weight }, data.at, () => weightLoss(weight, big));
    expectCertified(bound, exactNorms(big));
  }
});

test.each(SCALES)('normalize brings a gradient of %d to the threshold and not beyond', (scale) => {
  const data = tiny(3, scale); // few rows: no gradient is formed, rows are scaled in float32
  const weight = leaf(P, D);
  const dead = leaf(P, D); // its gradient is exactly zero: 0 times a factor beyond float32 must stay 0
  withBook({ weight, dead }, (book) => {
    const loss = inSegments(data.at, () =>
      weightLoss(weight, data).add(weightLoss(dead, { ...data, g: new Float64Array(data.g.length) })),
    );
    const { bound } = book.backward(loss).norms();
    const factors = normalize({ maxGradNorm: 1 }).factors(Float64Array.from(bound));
    const sum = norm(book.accumulate([...factors]).flat());
    expect(sum).toBeLessThanOrEqual(1);
    expect(sum).toBeGreaterThan(0.99);
  });
});

test('a factor that is not finite counts as 0', () => {
  const data = { ...tiny(6, 1), at: [0, 2, 4, 6] };
  const weight = leaf(P, D);
  const run = (factors: number[]): number[] => [
    ...step({ weight }, data.at, () => weightLoss(weight, data), factors).sums['weight']!,
  ];
  expect(run([NaN, 0.5, Infinity])).toEqual(run([0, 0.5, 0]));
});

test('a sample whose rows cancel is summed as exactly as it is measured', () => {
  // 60 samples of 8 rows would share one partial sum in float32; the rows of each nearly cancel.
  const [rows, width, random] = [480, 32, new Random(5)];
  const a = Float64Array.from({ length: rows * width }, (_, i) =>
    Math.fround((Math.floor(i / width) % 2 === 0 ? 1000 : -1000) + random.normal()),
  );
  const g = Float64Array.from({ length: rows * width }, () => Math.fround(1 + 1e-5 * random.normal()));
  const at = Array.from({ length: 61 }, (_, b) => 8 * b);
  const weight = leaf(width, width);
  const input = tensor(a, { dtype: 'float32', shape: [rows, width] });
  const upstream = tensor(g, { dtype: 'float32', shape: [rows, width] });
  const run = (factors: number[]) =>
    step({ weight }, at, () => sampleSums(ops.linear(input, weight).mul(upstream).sum([1]), at), factors);
  const gradients = ops
    .reference_linear(input, weight.detach(), null, upstream, ints(at))[2]!
    .toTypedArray() as Float64Array;
  const exact = at.slice(1).map((_, b) => norm(gradients.subarray(b * width ** 2, (b + 1) * width ** 2)));
  const all = run(exact.map(() => 1));
  expectCertified(all.bound, exact);
  for (let b = 0; b < 60; b += 3) {
    const without = run(exact.map((_, i) => Number(i !== b))).sums['weight']!;
    const moved = norm(all.sums['weight']!.map((x, i) => x - without[i]!));
    expect(moved).toBeLessThanOrEqual(all.bound[b]!);
    expectClose([moved], [exact[b]!], { relative: 1e-8 });
  }
});
