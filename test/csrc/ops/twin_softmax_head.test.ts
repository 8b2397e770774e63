// The softmax head and the tied table against their plain twins: losses, residuals, phantom norms on the stored factors.

import { fc, test as property } from '@fast-check/jest';
import { fromTypedArray, type Tensor, tensor, torch } from '../../../lib/tensor';
import { ints, sampleSums, step } from './book';
import { expectCertified, expectClose, expectNear, weightedSum } from './numbers';
import { makeIds, Random } from './random';
import { dtype, offsets, repetition, seed, SEEDED } from './shapes';

const ops = torch.ops.phantomgrad;
const doubles = (t: Tensor): Float64Array => t.detach().to('float64').toTypedArray() as Float64Array;

// Vocabulary, width and longest sample: the large vocabulary only with short samples, for the twin's sake.
const shape = fc.oneof(
  {
    arbitrary: fc.record({ M: fc.constantFrom(1, 2, 65, 97), d: fc.constantFrom(1, 3, 8, 64, 65), at: offsets() }),
    weight: 8,
  },
  { arbitrary: fc.record({ M: fc.constant(3416), d: fc.constantFrom(3, 8, 64), at: offsets(12) }), weight: 1 },
);
const head = fc.record({
  scale: fc.constantFrom(1, 0.25),
  smoothing: fc.constantFrom(0, 0.1),
  biased: fc.boolean(),
  deadPadding: fc.boolean(),
  candidates: fc.boolean(),
  weighted: fc.boolean(),
});
const input = fc.record({ kind: repetition, alpha: fc.constantFrom(1, 4), padded: fc.boolean() });

property.prop([shape, head, input, dtype, seed], { ...SEEDED, numRuns: 100 })(
  'the tied table equals its twin',
  ({ M, d, at }, options, { kind, alpha, padded }, type, start) => {
    const random = new Random(start);
    const rows = at[at.length - 1]!;
    const below = (n: number): number => random.below(n);
    const live = Array.from({ length: M }, (_, j) => (options.candidates && M > 2 ? Number(j % 3 !== 1) : 1));
    if (options.deadPadding && M > 1) live[0] = 0;
    const columns = live.flatMap((flag, j) => (flag === 1 ? [j] : []));
    const ids = makeIds(kind, rows, M, below);
    const targets = Array.from({ length: rows }, () => random.pick(columns));
    const [values, beta, h, u] = [
      random.normals(M * d, 1 / Math.sqrt(d)),
      random.normals(M),
      random.normals(rows * d),
      random.normals(rows * d, 0.1),
    ];
    const weights = Float64Array.from({ length: rows }, () => (options.weighted ? random.pick([0, 1, 0.5, 2]) : 1));
    const factors = at.slice(1).map(() => random.uniform());

    const table = tensor(values, { dtype: type, shape: [M, d], requiresGrad: true });
    const bias = tensor(beta, { dtype: type, requiresGrad: true });
    const hidden = tensor(h, { dtype: type, shape: [rows, d], requiresGrad: true });
    const call = {
      scale: options.scale,
      label_smoothing: options.smoothing,
      padding_id: options.deadPadding && M > 1 ? 0 : -1,
      candidates: options.candidates && M > 2 ? ints(columns) : null,
    };
    const w = tensor(weights, { dtype: type });
    let losses: Float64Array = new Float64Array();
    const got = step(
      options.biased ? { table, bias } : { table },
      at,
      () => {
        const loss = ops.softmax_cross_entropy_head(
          hidden,
          table,
          ints(targets),
          w,
          options.biased ? bias : null,
          call,
        );
        losses = doubles(loss);
        const x = ops.embedding(ints(ids), table, { padding_id: padded ? 0 : -1, scale: alpha });
        return loss.add(sampleSums(x.mul(tensor(u, { dtype: type, shape: [rows, d] })).sum([1]), at));
      },
      factors,
    );

    const shared = { scale: options.scale, label_smoothing: options.smoothing, live: tensor(live, { dtype: 'uint8' }) };
    const [loss, , residual, dHidden, dTable, dBias] = ops.reference_softmax_head(
      fromTypedArray(h, [rows, d]),
      fromTypedArray(values, [M, d]),
      ints(targets),
      fromTypedArray(weights),
      options.biased ? fromTypedArray(beta) : null,
      ints(at),
      shared,
    ) as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
    // The factors as the operator keeps them: what norms and bounds are about.
    const [kept, keptHidden] = ops.softmax_residual(
      hidden,
      table,
      ints(targets),
      w,
      options.biased ? bias : null,
      call,
    );
    const precision = type === 'float64' ? 1e-13 : 4e-6;
    expectClose(doubles(kept), doubles(residual), { absolute: 4 * precision, what: 'residual' });
    const mass = weights.reduce((x, y) => x + y, 0);
    expectClose(losses, doubles(loss), {
      absolute: 4 * precision * (1 + mass),
      relative: 10 * precision,
      what: 'loss',
    });
    expectNear(doubles(hidden.grad!), doubles(dHidden), 20 * precision, { scale: options.scale * mass, what: 'dH' });

    const scaled = Float64Array.from(u, (value) => alpha * value);
    const [inside, out, cross] = ops.reference_phantom(
      ints(ids.map((id) => (padded && id === 0 ? -1 : id))),
      fromTypedArray(scaled, [rows, d]),
      ints(at),
      fromTypedArray(doubles(kept), [rows, M]),
      fromTypedArray(doubles(keptHidden), [rows, d]),
      ints(at),
    ) as [Tensor, Tensor, Tensor];
    const parts = [inside, out, cross].map(doubles) as [Float64Array, Float64Array, Float64Array];
    const tied = at.slice(1).map((_, b) => parts[0][b]! + parts[1][b]! + 2 * parts[2][b]!);
    tied.forEach((want, b) => {
      const size = parts[0][b]! + parts[1][b]!;
      expectClose([got.norm2['table']![b]!], [want], {
        relative: 1e-11,
        absolute: (type === 'float64' ? 1e-12 : 2e-5) * size,
        what: 'norm2',
      });
      if (want > 0.1 * size)
        expectClose([Math.sqrt(got.norm2['table']![b]!)], [Math.sqrt(want)], {
          relative: type === 'float64' ? 1e-12 : 1e-5,
          what: 'benign norm',
        });
    });
    const biasNorm2 = at.slice(1).map((_, b) => {
      let sum = 0;
      for (let j = 0; j < M; j++) sum += doublesOf(dBias)[b * M + j]! ** 2;
      return options.biased ? sum : 0;
    });
    if (options.biased)
      expectClose(got.norm2['bias']!, biasNorm2, {
        relative: 20 * precision,
        absolute: 20 * precision * mass ** 2,
        what: 'norm2 of the bias',
      });
    const exact = tied.map((n, b) => Math.sqrt(Math.max(0, n) + (options.biased ? got.norm2['bias']![b]! : 0)));
    expectCertified(
      got.bound,
      exact.map((n) => n * (1 - 1e-12)),
      { floor: 1e-7 },
    );

    const sum = weightedSum(factors, doubles(dTable), M * d);
    ids.forEach((id, t) => {
      if (padded && id === 0) return;
      const b = at.findIndex((first, i) => first <= t && t < at[i + 1]!);
      for (let j = 0; j < d; j++) sum[id * d + j]! += factors[b]! * scaled[t * d + j]!;
    });
    expectNear(got.sums['table']!, sum, 20 * precision, { scale: (mass + 1) * Math.sqrt(d), what: 'sum' });
    if (options.biased)
      expectNear(got.sums['bias']!, weightedSum(factors, doubles(dBias), M), 20 * precision, {
        scale: mass + 1,
        what: 'sum of the bias',
      });
  },
);

const cache = new WeakMap<Tensor, Float64Array>();
function doublesOf(t: Tensor): Float64Array {
  const known = cache.get(t) ?? doubles(t);
  cache.set(t, known);
  return known;
}

test('a sample whose weights are all zero has loss 0 and norm 0, with and without the mean', () => {
  for (const mean of [false, true]) {
    const table = tensor(new Random(1).normals(15), { shape: [5, 3], requiresGrad: true });
    const hidden = tensor(new Random(2).normals(12), { shape: [4, 3], requiresGrad: true });
    let loss: number[] = [];
    const got = step({ table }, [0, 2, 4], () => {
      const value = ops.softmax_cross_entropy_head(hidden, table, ints([1, 2, 3, 4]), tensor([0, 0, 1, 3]), null, {
        mean,
      });
      loss = value.detach().toArray() as number[];
      return value;
    });
    expect(loss[0]).toBe(0);
    expect(loss[1]).toBeGreaterThan(0);
    expect([got.norm[0], got.bound[0]]).toEqual([0, 0]);
    expect((hidden.grad!.toArray() as number[][])[0]).toEqual([0, 0, 0]);
  }
});
