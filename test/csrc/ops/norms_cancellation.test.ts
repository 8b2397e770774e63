// Gradients that nearly cancel: the bound stays at or above the exact norm and within 1 % of it, also in float32.

import { torch, zeros } from '../../../lib/tensor';
import { sampleSums, step } from './book';
import { CANCELLATION, type CancellationCase } from './norm_cases';
import { expectCertified, expectClose } from './numbers';
import { PRECISIONS, rows } from './vectors';

const ops = torch.ops.phantomgrad;

function run(c: CancellationCase, dtype: 'float32' | 'float64', samples: number) {
  const weight = zeros([c.d_out, c.d_in], { dtype }).requiresGrad_();
  const offsets = Array.from({ length: samples + 1 }, (_, b) => b * c.rows);
  const repeat = (values: number[][]) => Array.from({ length: samples }, () => values).flat();
  return step({ weight }, offsets, () =>
    sampleSums(
      ops
        .linear(rows(repeat(c.a), c.d_in, dtype), weight)
        .mul(rows(repeat(c.g), c.d_out, dtype))
        .sum([1]),
      offsets,
    ),
  );
}

describe.each(PRECISIONS)('$dtype', ({ dtype }) => {
  test.each(CANCELLATION.map((c) => [c.name, c] as const))('%s: norm and bound', (_name, c) => {
    const { norm, bound } = run(c, dtype, 1);
    expectCertified(bound, [c.norm]);
    expectClose(norm, [c.norm], { relative: 1e-5 });
  });

  test.each(CANCELLATION.map((c) => [c.name, c] as const))('%s: what is summed has the certified norm', (_name, c) => {
    // The same sample many times in one batch: a rounding per sample would show as a multiple of it.
    const { bound, sums } = run(c, dtype, 40);
    const sum = Math.hypot(...sums['weight']!);
    expect(sum).toBeLessThanOrEqual(bound.reduce((x, y) => x + y, 0));
    expect(sum).toBeGreaterThanOrEqual(40 * c.norm * (1 - 1e-6));
  });
});

test('a bias whose rows sum to zero has norm zero', () => {
  for (const c of CANCELLATION.filter(({ norm2_bias }) => norm2_bias === 0)) {
    for (const dtype of ['float32', 'float64'] as const) {
      const bias = zeros([c.d_out], { dtype }).requiresGrad_();
      const { bound } = step({ bias }, [0, c.rows], () =>
        sampleSums(
          ops
            .linear(rows(c.a, c.d_in, dtype), zeros([c.d_out, c.d_in], { dtype }), bias)
            .mul(rows(c.g, c.d_out, dtype))
            .sum([1]),
          [0, c.rows],
        ),
      );
      expect(bound[0]).toBeLessThanOrEqual(1e-6);
    }
  }
});
