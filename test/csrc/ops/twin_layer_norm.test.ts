// layer_norm against its plain twin: output, input gradient, per-sample scale and shift.

import { fc, test as property } from '@fast-check/jest';
import { fromTypedArray, tensor, torch } from '../../../lib/tensor';
import { ints, sampleSums, step } from './book';
import { expectCertified, expectClose, expectNear, norm, weightedSum } from './numbers';
import { Random } from './random';
import { dtype, offsets, seed, SEEDED, width } from './shapes';

const ops = torch.ops.phantomgrad;

property.prop(
  [offsets(), width, fc.boolean(), fc.constantFrom(1e-5, 1e-12, 0.01), fc.constantFrom(0, 30), dtype, seed],
  { ...SEEDED, numRuns: 80 },
)('layer_norm equals its twin', (at, d, shifted, eps, mean, type, start) => {
  const random = new Random(start);
  const rows = at[at.length - 1]!;
  const x = random.normals(rows * d).map((value) => Math.fround(value + mean));
  const [g, gamma, beta] = [random.normals(rows * d), random.normals(d), random.normals(d)];
  const input = tensor(x, { dtype: type, shape: [rows, d], requiresGrad: true });
  const weight = tensor(gamma, { dtype: type, requiresGrad: true });
  const bias = tensor(beta, { dtype: type, requiresGrad: true });
  const factors = at.slice(1).map(() => random.uniform());
  let output: Float64Array = new Float64Array();
  const got = step(
    shifted ? { weight, bias } : { weight },
    at,
    () => {
      const y = ops.layer_norm(input, weight, shifted ? bias : null, eps);
      output = y.detach().to('float64').toTypedArray() as Float64Array;
      return sampleSums(y.mul(tensor(g, { dtype: type, shape: [rows, d] })).sum([1]), at);
    },
    factors,
  );

  const [y, dx, dGamma, dBeta] = ops
    .reference_layer_norm(
      fromTypedArray(x, [rows, d]),
      fromTypedArray(gamma),
      shifted ? fromTypedArray(beta) : null,
      fromTypedArray(g, [rows, d]),
      ints(at),
      eps,
    )
    .map((t) => t.toTypedArray() as Float64Array) as [Float64Array, Float64Array, Float64Array, Float64Array];
  // One feature is constant within its row: x̂ is 0 over a root of eps, which magnifies nothing but rounding.
  const precision = type === 'float64' ? 1e-12 : 1e-5;
  // A mean of 30 costs float32 five bits of x - mean; a row of close neighbours with a tiny eps many more.
  const tolerance = precision * (1 + mean) * (d < 8 ? 1e3 : 1);
  if (d > 1) {
    expectNear(output, y, tolerance, { what: 'output' });
    if (d >= 8)
      expectNear(input.grad!.to('float64').toTypedArray() as Float64Array, dx, tolerance, { what: 'd_input' });
  }
  const perSample = (gradients: Float64Array): number[] =>
    factors.map((_, b) => norm(gradients.subarray(b * d, (b + 1) * d)));
  const [exactGamma, exactBeta] = [perSample(dGamma), perSample(dBeta)];
  const size = norm(g) * Math.sqrt(rows + 1);
  if (d >= 8)
    expectClose(got.norm2['weight']!.map(Math.sqrt), exactGamma, {
      relative: tolerance,
      absolute: tolerance * size,
      what: 'norm of gamma',
    });
  if (shifted)
    expectClose(got.norm2['bias']!.map(Math.sqrt), exactBeta, {
      relative: precision,
      absolute: 1e-7 * precision * size,
      what: 'norm of beta',
    });
  if (d >= 8)
    expectCertified(
      got.bound,
      exactGamma.map((n, b) => Math.hypot(n, shifted ? exactBeta[b]! : 0) * (1 - tolerance) - tolerance * size),
      { floor: 2.1 * tolerance * size },
    );
  if (shifted)
    expectNear(got.sums['bias']!, weightedSum(factors, dBeta, d), precision, { scale: size, what: 'sum of beta' });
});
