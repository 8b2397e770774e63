// Reference vectors of linear layers: one call, and two calls that share a weight.

import { tensor, torch, zeros } from '../../../lib/tensor';
import { sampleSums, step } from './book';
import { LINEAR, type Rows } from './norm_cases';
import { expectCertified, expectClose } from './numbers';
import { type Dtype, PRECISIONS, rows, vectors } from './vectors';

const ops = torch.ops.phantomgrad;

interface SharedCase {
  name: string;
  d_in: number;
  d_out: number;
  bias: boolean;
  first: Rows;
  second: Rows;
  norm2_first: number[];
  norm2_second: number[];
  norm2: number[];
  norm2_bias: number[];
  sum_grad_weight: number[][];
  sum_grad_bias: number[] | null;
}

// The size of the terms that cancel in a sample's norm²: (Σ |a||g|)².
function terms({ offsets, a, g }: Rows): number[] {
  const products = a.map((row, t) => Math.hypot(...row) * Math.hypot(...g[t]!));
  return offsets.slice(1).map((end, b) => products.slice(offsets[b], end).reduce((x, y) => x + y, 0) ** 2);
}

/** Σ_t g_t . y_t of each sample: the gradient at y is g. */
function through(
  call: Rows,
  d_in: number,
  d_out: number,
  parameters: { weight: ReturnType<typeof zeros>; bias?: ReturnType<typeof zeros> },
  dtype: Dtype,
) {
  ops.set_segments(tensor(BigInt64Array.from(call.offsets, BigInt)));
  const y = ops.linear(rows(call.a, d_in, dtype), parameters.weight, parameters.bias ?? null);
  return sampleSums(y.mul(rows(call.g, d_out, dtype)).sum([1]), call.offsets);
}

describe.each(PRECISIONS)('$dtype', ({ dtype, norm2, cancelling, sum }) => {
  test.each(LINEAR.map((c) => [c.name, c] as const))('%s: norms of weight and bias, and sums', (_name, c) => {
    const parameters = {
      weight: zeros([c.d_out, c.d_in], { dtype }).requiresGrad_(),
      bias: zeros([c.d_out], { dtype }).requiresGrad_(),
    };
    const got = step(parameters, c.offsets, () => through(c, c.d_in, c.d_out, parameters, dtype));
    terms(c).forEach((size, b) => {
      expectClose([got.norm2['weight']![b]!], [c.norm2_weight[b]!], { relative: norm2, absolute: cancelling * size });
      expectClose([got.norm2['bias']![b]!], [c.norm2_bias[b]!], { relative: norm2, absolute: cancelling * size });
      expectClose([got.norm[b]! ** 2], [c.norm2[b]!], { relative: norm2, absolute: cancelling * size });
    });
    if (dtype === 'float64')
      expectCertified(
        got.bound,
        c.norm2.map(Math.sqrt).map((n) => n * (1 - 1e-12)),
      );
    expectClose(got.sums['weight']!, c.sum_grad_weight.flat(), { absolute: sum, relative: sum });
    expectClose(got.sums['bias']!, c.sum_grad_bias, { absolute: sum, relative: sum });
  });

  const shared = (vectors('norms_shared_linear.json') as { cases: SharedCase[] }).cases;
  test.each(shared.map((c) => [c.name, c] as const))(
    '%s: two calls of one weight, also with different rows',
    (_name, c) => {
      const parameters = {
        weight: zeros([c.d_out, c.d_in], { dtype }).requiresGrad_(),
        ...(c.bias ? { bias: zeros([c.d_out], { dtype }).requiresGrad_() } : {}),
      };
      const got = step(parameters, c.first.offsets, () =>
        through(c.first, c.d_in, c.d_out, parameters, dtype).add(through(c.second, c.d_in, c.d_out, parameters, dtype)),
      );
      const size = terms(c.first).map((x, b) => (Math.sqrt(x) + Math.sqrt(terms(c.second)[b]!)) ** 2);
      size.forEach((scale, b) => {
        expectClose([got.norm2['weight']![b]!], [c.norm2[b]!], { relative: norm2, absolute: cancelling * scale });
        if (c.bias)
          expectClose([got.norm2['bias']![b]!], [c.norm2_bias[b]!], { relative: norm2, absolute: cancelling * scale });
      });
      expectClose(got.sums['weight']!, c.sum_grad_weight.flat(), { absolute: sum, relative: sum });
      if (c.sum_grad_bias !== null) expectClose(got.sums['bias']!, c.sum_grad_bias, { absolute: sum, relative: sum });
    },
  );
});
