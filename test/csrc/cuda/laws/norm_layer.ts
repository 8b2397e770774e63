// Laws of the norm layers' backward pass on a device: the twin's gradients; LayerNorm's sums with the bits of the CPU kernel.

import { fromTypedArray, torch } from '../../../../lib/tensor';
import { expectNear } from '../../ops/numbers';
import { Random } from '../../ops/random';
import { doubles, everyWay, Guarded, longs, numbers } from '../arrays';
import type { Kit } from '../kit';

const EPS = 1e-5;

export function normLayerLaws(kit: Kit): void {
  const cases = [
    { lengths: [3, 0, 11], d: 7 },
    { lengths: [1, 64, 9], d: 64 },
    { lengths: [20], d: 300 },
  ];
  test.each(
    cases.flatMap((c) =>
      (['float32', 'float64'] as const).flatMap((dtype) =>
        [true, false].map((centred) => [centred ? 'LayerNorm' : 'RMSNorm', c.d, dtype, centred, c] as const),
      ),
    ),
  )('%s of width %d in %s has the gradients of its definition', (_name, d, dtype, centred, { lengths }) => {
    const draw = new Random(d);
    const offsets = [0];
    lengths.forEach((length) => offsets.push(offsets.at(-1)! + length));
    const rows = offsets.at(-1)!;
    const [x, g, gamma] = [rows * d, rows * d, d].map((n) => draw.normals(n).map(Math.fround)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    const mean = new Float64Array(rows);
    const rstd = new Float64Array(rows);
    for (let t = 0; t < rows; t++) {
      const row = x.subarray(t * d, (t + 1) * d);
      mean[t] = centred ? row.reduce((a, b) => a + b, 0) / d : 0;
      rstd[t] = 1 / Math.sqrt(row.reduce((a, b) => a + (b - mean[t]!) ** 2, 0) / d + EPS);
    }
    const of = (values: Float64Array, shape = [values.length]) => kit.on(doubles(values, shape).to(dtype));
    const inputs = [
      of(g, [rows, d]),
      of(x, [rows, d]),
      of(gamma),
      centred ? of(mean) : null,
      of(rstd),
      kit.on(longs(offsets)),
    ];
    const samples = lengths.length;
    const outputs: Guarded[] = [];
    everyWay(kit, () => {
      const [dx, scale, shift] = [rows * d, samples * d, samples * d].map((n) => new Guarded(kit, n, dtype)) as [
        Guarded,
        Guarded,
        Guarded,
      ];
      kit.kernels.norm_backward_!(...inputs, dx.tensor, scale.tensor, centred ? shift.tensor : null);
      outputs.push(dx, scale, shift);
      return [dx.tensor, scale.tensor];
    });
    const [dx, scale, shift] = outputs.slice(0, 3).map((output) => output.values()) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];

    const wantX = new Float64Array(rows * d);
    const [wantScale, wantShift] = [new Float64Array(samples * d), new Float64Array(samples * d)];
    for (let b = 0; b < samples; b++)
      for (let t = offsets[b]!; t < offsets[b + 1]!; t++) {
        const hat = (i: number): number => (x[t * d + i]! - mean[t]!) * rstd[t]!;
        let [one, along] = [0, 0];
        for (let i = 0; i < d; i++) {
          wantScale[b * d + i]! += g[t * d + i]! * hat(i);
          wantShift[b * d + i]! += g[t * d + i]!;
          one += centred ? (gamma[i]! * g[t * d + i]!) / d : 0;
          along += (gamma[i]! * g[t * d + i]! * hat(i)) / d;
        }
        for (let i = 0; i < d; i++) wantX[t * d + i] = rstd[t]! * (gamma[i]! * g[t * d + i]! - one - hat(i) * along);
      }
    const tolerance = dtype === 'float32' ? 1e-6 : 1e-14;
    expectNear(dx, wantX, tolerance, { what: 'dx' });
    expectNear(scale, wantScale, tolerance, { what: 'd_gamma' });
    if (centred) expectNear(shift, wantShift, tolerance, { what: 'd_beta' });
    else expect(shift.every(Number.isNaN)).toBe(true);
    if (centred && dtype === 'float64') {
      const twin = torch.ops.phantomgrad.reference_layer_norm(
        fromTypedArray(x, [rows, d]),
        fromTypedArray(gamma),
        fromTypedArray(new Float64Array(d)),
        fromTypedArray(g, [rows, d]),
        longs(offsets),
        EPS,
      );
      expectNear(dx, numbers(twin[1]!), 1e-13, { what: 'dx beside the twin' });
      expectNear(scale, numbers(twin[2]!), 1e-13, { what: 'd_gamma beside the twin' });
    }
  });
}
