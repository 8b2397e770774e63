// Reference vectors of LayerNorm: scale, shift and input gradient. (The RMSNorm cases belong to an operator to come.)

import { tensor, torch } from '../../../lib/tensor';
import { sampleSums, step } from './book';
import { expectClose } from './numbers';
import { PRECISIONS, rows, vectors } from './vectors';

interface NormCase {
  name: string;
  kind: 'layernorm' | 'rmsnorm';
  dim: number;
  offsets: number[];
  eps: number;
  x: number[][];
  gamma: number[];
  beta: number[];
  u: number[][];
  norm2_gamma: number[];
  norm2_beta: number[];
  norm2: number[];
  sum_grad_gamma: number[];
  sum_grad_beta: number[];
  dx: number[][];
}

const cases = (vectors('norms_layernorm.json') as { cases: NormCase[] }).cases.filter((c) => c.kind === 'layernorm');

test('the file has LayerNorm cases', () => {
  expect(cases.length).toBeGreaterThan(8);
});

describe.each(PRECISIONS)('$dtype', ({ dtype, norm2, sum }) => {
  test.each(cases.map((c) => [c.name, c] as const))('%s: norms, sums and input gradient', (_name, c) => {
    const parameters = {
      gamma: tensor(c.gamma, { dtype, requiresGrad: true }),
      beta: tensor(c.beta, { dtype, requiresGrad: true }),
    };
    const x = rows(c.x, c.dim, dtype).requiresGrad_();
    const got = step(parameters, c.offsets, () => {
      const y = torch.ops.phantomgrad.layer_norm(x, parameters.gamma, parameters.beta, c.eps);
      return sampleSums(y.mul(rows(c.u, c.dim, dtype)).sum([1]), c.offsets);
    });
    // With two features and a tiny eps, x̂ is ±1 but for a difference of nearly equal numbers: float32 inputs lose it.
    const spread =
      dtype === 'float32' ? Math.max(1, ...c.x.map((row) => Math.max(...row.map(Math.abs)) / deviation(row))) : 1;
    expectClose(got.norm2['gamma']!, c.norm2_gamma, { relative: norm2 * spread, absolute: norm2 });
    expectClose(got.norm2['beta']!, c.norm2_beta, { relative: norm2, absolute: norm2 });
    expectClose(
      got.norm.map((n) => n * n),
      c.norm2,
      { relative: norm2 * spread, absolute: norm2 },
    );
    expectClose(got.sums['gamma']!, c.sum_grad_gamma, { absolute: sum * spread, relative: sum * spread });
    expectClose(got.sums['beta']!, c.sum_grad_beta, { absolute: sum, relative: sum });
    const steepest = Math.max(1, ...c.x.map((row) => 1 / deviation(row)));
    expectClose(x.grad!.toTypedArray() as Float64Array, c.dx.flat(), {
      absolute: sum * spread * steepest,
      relative: sum,
    });
  });
});

function deviation(row: readonly number[]): number {
  const mean = row.reduce((x, y) => x + y, 0) / row.length;
  return Math.sqrt(row.reduce((x, y) => x + (y - mean) ** 2, 0) / row.length) + 1e-300;
}
