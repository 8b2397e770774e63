// Laws of clip factors and of stored gradients on a device: the rules of lib/privacy/clip, rounded down; nothing from NaN.

import { abadi, automatic, type Clip, global, normalize, psac } from '../../../../lib/privacy/clip';
import { Random } from '../../ops/random';
import { doubles, everyWay, Guarded, longs, numbers } from '../arrays';
import type { Kit } from '../kit';

const RULES: readonly [string, number, Clip, number][] = [
  ['abadi', 0, abadi({ maxGradNorm: 0.7 }), 0],
  ['automatic', 1, automatic({ maxGradNorm: 0.7, gamma: 0.02 }), 0.02],
  ['normalize', 2, normalize({ maxGradNorm: 0.7 }), 0],
  ['psac', 3, psac({ maxGradNorm: 0.7, r: 0.1 }), 0.1],
  ['global', 4, global({ maxGradNorm: 0.7, cutoff: 2 }), 2],
];

function factors(kit: Kit, rule: number, setting: number, bounds: Float64Array[], groupOf: number[], shares: number[]) {
  const samples = bounds[0]!.length;
  const all = Float64Array.from(bounds.flatMap((row) => [...row]));
  const inputs = [doubles(all, [bounds.length, samples]), longs(groupOf), doubles(shares)].map(kit.on);
  const outputs: Guarded[] = [];
  everyWay(kit, () => {
    const out = new Guarded(kit, shares.length * samples);
    const dropped = new Guarded(kit, Number(kit.kernels.clip_factors_blocks!(samples)), 'int64');
    kit.kernels.clip_factors_!(...inputs, rule, 0.7, setting, 2 ** -10, out.tensor, dropped.tensor);
    outputs.push(out, dropped);
    return [out.tensor, dropped.tensor];
  });
  return { factors: outputs[0]!.values(), dropped: outputs[1]!.values().reduce((a, b) => a + b, 0) };
}

export function clipLaws(kit: Kit): void {
  test.each(RULES)('factors of %s are those of the library, never above them', (_name, rule, clip, setting) => {
    const draw = new Random(rule + 1);
    const bounds = Float64Array.from({ length: 301 }, (_, b) => Math.abs(draw.normals(1)[0]!) * 10 ** ((b % 9) - 4));
    bounds.set([0, Number.MIN_VALUE, 1e-310, 7.4e-163, 1e300, 0.7, 2 / (1 + 2 ** -10)]);
    const got = factors(kit, rule, setting, [bounds], [0], [1]);
    const want = clip.factors(bounds);
    expect(got.dropped).toBe(0);
    want.forEach((factor, b) => {
      // The cutoff of `global` is a comparison: the certificate's own widening may decide it the other way, to 0.
      const down = rule === 4 && got.factors[b] === 0;
      if (bounds[b]! > 1e-280) {
        // A wider bound may mean a larger factor in psac; what counts is the product, below.
        expect(got.factors[b]).toBeLessThanOrEqual(factor * (rule === 3 ? 1 + 2 ** -43 : 1));
        if (!down) expect(got.factors[b]).toBeGreaterThanOrEqual(factor * (1 - 2 ** -43));
      }
      expect(got.factors[b]! * bounds[b]!).toBeLessThanOrEqual(0.7);
    });
  });

  test('groups take the root of the squares of their own parameters, and their share of the threshold', () => {
    const bounds = [[3, 1, 0], [4, 1, 0], [12, 0.1, 5]].map((row) => Float64Array.from(row)); // prettier-ignore
    const shares = [0.6, 0.8];
    const got = factors(kit, 0, 0, bounds, [0, 0, 1], shares).factors;
    const want = [
      abadi({ maxGradNorm: 0.7 }).factors(Float64Array.from([5, Math.SQRT2, 0]), 0.6),
      abadi({ maxGradNorm: 0.7 }).factors(bounds[2]!, 0.8),
    ];
    want.forEach((row, g) => row.forEach((factor, b) => expect(got[g * 3 + b]).toBeCloseTo(factor, 12)));
  });

  test('a sample that is not finite in one group is dropped in all of them and counted', () => {
    const bounds = [[1, Number.NaN, 1, 2], [1, 1, Number.POSITIVE_INFINITY, 2]].map((row) => Float64Array.from(row)); // prettier-ignore
    const got = factors(kit, 2, 0, bounds, [0, 1], [0.6, 0.8]);
    expect(got.dropped).toBe(2);
    expect([...got.factors].map((factor) => factor > 0)).toEqual([true, false, false, true, true, false, false, true]);
  });

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
