// Laws of gradients stored a sample at a time: norms with bounds, clipped sums, nothing from a NaN.

import { Random } from '../../ops/random';
import { doubles, everyWay, Guarded, numbers } from '../arrays';
import type { Kit } from '../kit';

export function storedLaws(kit: Kit): void {
  test.each(['float32', 'float64'] as const)(
    'stored %s gradients have the norms and the clipped sum of their rows',
    (dtype) => {
      const draw = new Random(5);
      const [samples, width] = [7, 201];
      const rows = draw.normals(samples * width).map(Math.fround);
      rows.fill(Number.NaN, 3 * width, 4 * width);
      const factor = [0.5, 2, 1, 0, 0.25, 0, 1e-3];
      const [stored, c] = [doubles(rows, [samples, width]).to(dtype), doubles(factor)].map(kit.on);
      const outputs: Guarded[] = [];
      everyWay(kit, () => {
        const [square, bound, sum] = [
          new Guarded(kit, samples),
          new Guarded(kit, samples),
          new Guarded(kit, width, 'float64', 0),
        ];
        kit.kernels.stored_norm_!(stored, square.tensor, bound.tensor);
        kit.kernels.stored_sum_!(stored, c, sum.tensor);
        outputs.push(square, bound, sum);
        return [square.tensor, bound.tensor, sum.tensor];
      });
      const [, bound, sum] = outputs.slice(0, 3).map((output) => output.values()) as [
        Float64Array,
        Float64Array,
        Float64Array,
      ];
      for (let b = 0; b < samples; b++) {
        const norm = Math.hypot(...rows.subarray(b * width, (b + 1) * width));
        if (b === 3) expect(bound[b]).toBeNaN();
        else {
          expect(bound[b]).toBeGreaterThanOrEqual(norm * (1 - 1e-16));
          expect(bound[b]).toBeLessThanOrEqual(norm * (1 + 1e-12));
        }
      }
      for (let i = 0; i < width; i++) {
        let want = 0;
        factor.forEach((f, b) => (want += f === 0 ? 0 : f * rows[b * width + i]!));
        expect(sum[i]).toBeCloseTo(want, 13);
      }
      expect(numbers(kit.back(c!))).toEqual(Float64Array.from(factor));
    },
  );
}
