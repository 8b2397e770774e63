// linear against its plain twin over generated shapes: output, gradients, norms, sums, certificate.

import { fc, test as property } from '@fast-check/jest';
import { fromTypedArray, tensor, torch } from '../../../lib/tensor';
import { ints, sampleSums, step } from './book';
import { expectCertified, expectClose, expectNear, weightedSum } from './numbers';
import { Random } from './random';
import { dtype, offsets, seed, SEEDED, width } from './shapes';

const ops = torch.ops.phantomgrad;

/** Σ_t |a_t||g_t| of each sample: the size of what may cancel in its norm. */
function rowProducts(a: Float64Array, d: number, g: Float64Array, p: number, at: readonly number[]): number[] {
  const length = (x: Float64Array, n: number, t: number): number => Math.hypot(...x.subarray(t * n, (t + 1) * n));
  return at.slice(1).map((end, b) => {
    let sum = 0;
    for (let t = at[b]!; t < end; t++) sum += length(a, d, t) * length(g, p, t);
    return sum;
  });
}

property.prop([offsets(), width, fc.constantFrom(1, 2, 3, 64, 97), fc.boolean(), dtype, seed], {
  ...SEEDED,
  numRuns: 120,
})('linear equals its twin', (at, d, p, biased, type, start) => {
  const random = new Random(start);
  const rows = at[at.length - 1]!;
  const [a, g, w, beta] = [
    random.normals(rows * d),
    random.normals(rows * p),
    random.normals(p * d),
    random.normals(p),
  ];
  const input = tensor(a, { dtype: type, shape: [rows, d], requiresGrad: true });
  const weight = tensor(w, { dtype: type, shape: [p, d], requiresGrad: true });
  const bias = tensor(beta, { dtype: type, requiresGrad: true });
  const factors = at.slice(1).map(() => random.uniform());

  let output: Float64Array = new Float64Array();
  const got = step(
    biased ? { weight, bias } : { weight },
    at,
    () => {
      const y = ops.linear(input, weight, biased ? bias : null);
      output = y.detach().to('float64').toTypedArray() as Float64Array;
      return sampleSums(y.mul(tensor(g, { dtype: type, shape: [rows, p] })).sum([1]), at);
    },
    factors,
  );

  const [y, dx, dw, db, norm2] = ops
    .reference_linear(
      fromTypedArray(a, [rows, d]),
      fromTypedArray(w, [p, d]),
      biased ? fromTypedArray(beta) : null,
      fromTypedArray(g, [rows, p]),
      ints(at),
    )
    .map((t) => t.toTypedArray() as Float64Array) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const u = type === 'float64' ? 2 ** -53 : 2 ** -24;
  expectNear(output, y, 4 * (d + 2) * u, { what: 'output' });
  expectNear(input.grad!.to('float64').toTypedArray() as Float64Array, dx, 4 * (p + 2) * u, { what: 'd_input' });
  const products = rowProducts(a, d, g, p, at);
  const exact = [...norm2].map((x) => Math.sqrt(Math.max(0, x)));
  exact.forEach((want, b) => {
    const size = products[b]! + (biased ? products[b]! + Math.sqrt(p * d) : 0);
    expectClose(
      [got.norm[b]!],
      [want],
      type === 'float64' ? { relative: 1e-11, absolute: 1e-8 * size } : { relative: 1e-5, absolute: 1e-7 * size },
    );
    if (want > 0.05 * size)
      expectClose([got.norm[b]!], [want], { relative: type === 'float64' ? 1e-12 : 1e-5, what: 'benign norm' });
  });
  expectCertified(
    got.bound,
    exact.map((n, b) => Math.max(0, n * (1 - 1e-13) - 1e-8 * products[b]!)),
    { floor: 1e-7 * Math.max(...products, 0) },
  );
  const scale = products.reduce((x, y) => x + y, 0);
  expectNear(got.sums['weight']!, weightedSum(factors, dw, p * d), 600 * u, { scale, what: 'sum of weight' });
  if (biased)
    expectNear(got.sums['bias']!, weightedSum(factors, db, p), 600 * u, { scale: norm1(g), what: 'sum of bias' });
});

function norm1(values: Float64Array): number {
  return values.reduce((x, y) => x + Math.abs(y), 0);
}

property.prop([offsets(20), offsets(20), width, seed], { ...SEEDED, numRuns: 40 })(
  'calls of one weight with different rows are one list of rows',
  (first, second, d, start) => {
    const random = new Random(start);
    const B = Math.min(first.length, second.length);
    const calls = [first.slice(0, B), second.slice(0, B)].map((at) => {
      const rows = at[at.length - 1]!;
      return { at, a: random.normals(rows * d), g: random.normals(rows * 3) };
    });
    const weight = tensor(random.normals(3 * d), { dtype: 'float64', shape: [3, d], requiresGrad: true });
    const got = step({ weight }, null, () =>
      calls
        .map(({ at, a, g }) => {
          const rows = at[at.length - 1]!;
          ops.set_segments(ints(at));
          const y = ops.linear(fromTypedArray(a, [rows, d]), weight);
          return sampleSums(y.mul(fromTypedArray(g, [rows, 3])).sum([1]), at);
        })
        .reduce((x, y) => x.add(y)),
    );
    // The twin sees every sample's rows of both calls, one after the other.
    const joined = { a: [] as number[], g: [] as number[], at: [0] };
    for (let b = 0; b + 1 < B; b++) {
      for (const { at, a, g } of calls) {
        joined.a.push(...a.subarray(at[b]! * d, at[b + 1]! * d));
        joined.g.push(...g.subarray(at[b]! * 3, at[b + 1]! * 3));
      }
      joined.at.push(joined.a.length / d);
    }
    const rows = joined.at[joined.at.length - 1]!;
    const norm2 = ops
      .reference_linear(
        fromTypedArray(Float64Array.from(joined.a), [rows, d]),
        weight.detach(),
        null,
        fromTypedArray(Float64Array.from(joined.g), [rows, 3]),
        ints(joined.at),
      )[4]!
      .toArray() as number[];
    const size = rowProducts(Float64Array.from(joined.a), d, Float64Array.from(joined.g), 3, joined.at);
    norm2.forEach((want, b) =>
      expectClose([got.norm2['weight']![b]!], [want], { relative: 1e-11, absolute: 1e-12 * size[b]! ** 2 }),
    );
  },
);
