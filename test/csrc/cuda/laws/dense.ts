// Laws of linear layers' norms and clipped sums on a device: float64 truth, a bound above it, cancellation found, NaN kept apart.

import { fromTypedArray, type Tensor } from '../../../../lib/tensor';
import { Random } from '../../ops/random';
import { bytes, doubles, everyWay, Guarded, longs } from '../arrays';
import type { Kit } from '../kit';

const SLACK = 0.008;

interface Factors {
  readonly a: Float64Array;
  readonly g: Float64Array;
  readonly offsets: readonly number[];
  readonly d: number;
  readonly p: number;
}

/** Values that float32 holds exactly, so that both dtypes have one truth. */
const rounded = (x: Float64Array): Float64Array => x.map(Math.fround);

function random(seed: number, lengths: readonly number[], d: number, p: number): Factors {
  const draw = new Random(seed);
  const offsets = [0];
  for (const length of lengths) offsets.push(offsets.at(-1)! + length);
  const rows = offsets.at(-1)!;
  return { a: rounded(draw.normals(rows * d)), g: rounded(draw.normals(rows * p)), offsets, d, p };
}

/** Per-sample gradients [p, d] (and the bias's column behind each row) in float64. */
function gradients({ a, g, offsets, d, p }: Factors, bias: boolean): Float64Array[] {
  const width = bias ? d + 1 : d;
  return offsets.slice(1).map((end, b) => {
    const out = new Float64Array(p * width);
    for (let t = offsets[b]!; t < end; t++)
      for (let i = 0; i < p; i++)
        for (let j = 0; j < width; j++) out[i * width + j]! += g[t * p + i]! * (j < d ? a[t * d + j]! : 1);
    return out;
  });
}

const norm2 = (x: Float64Array): number => x.reduce((sum, v) => sum + v * v, 0);

/** Σ_t |(a_t, bias)| |g_t| of a sample. */
function products({ a, g, offsets, d, p }: Factors, b: number, bias: boolean): number {
  let sum = 0;
  for (let t = offsets[b]!; t < offsets[b + 1]!; t++)
    sum += Math.hypot(...a.subarray(t * d, (t + 1) * d), bias ? 1 : 0) * Math.hypot(...g.subarray(t * p, (t + 1) * p));
  return sum;
}

interface Norms {
  readonly norm2: Float64Array;
  readonly bound: Float64Array;
  readonly exact: Tensor;
}

function ghostNorm(kit: Kit, f: Factors, dtype: 'float32' | 'float64', gram: boolean, bias: boolean): Norms {
  const samples = f.offsets.length - 1;
  const longest = Math.max(1, ...f.offsets.slice(1).map((end, b) => end - f.offsets[b]!));
  const rows = f.offsets.at(-1)!;
  const [a, g] = [doubles(f.a, [rows, f.d]), doubles(f.g, [rows, f.p])].map((t) => kit.on(t.to(dtype)));
  const offsets = kit.on(longs(f.offsets));
  const size = Number(kit.kernels.ghost_norm_workspace!(samples, longest, f.d, f.p));
  const outputs: Guarded[] = [];
  const [square, bound, exact] = everyWay(kit, () => {
    const [work, first, second] = [size, samples, samples].map((n) => new Guarded(kit, n)) as [
      Guarded,
      Guarded,
      Guarded,
    ];
    const flags = kit.on(bytes(new Uint8Array(samples).fill(9)));
    kit.kernels.ghost_norm_!(
      a,
      g,
      offsets,
      gram,
      bias,
      longest,
      SLACK,
      work.tensor,
      first.tensor,
      second.tensor,
      flags,
    );
    outputs.push(work, first, second);
    return [first.tensor, second.tensor, flags];
  }) as [Tensor, Tensor, Tensor];
  outputs.forEach((output) => output.check());
  const read = (t: Tensor): Float64Array => kit.back(t).toTypedArray() as Float64Array;
  return { norm2: read(square), bound: read(bound), exact };
}

function clippedSum(
  kit: Kit,
  f: Factors,
  dtype: 'float32' | 'float64',
  factors: number[],
  exact: Tensor,
  splits: number,
): Float64Array {
  const rows = f.offsets.at(-1)!;
  const [a, g] = [doubles(f.a, [rows, f.d]), doubles(f.g, [rows, f.p])].map((t) => kit.on(t.to(dtype)));
  const [c, offsets] = [kit.on(doubles(factors)), kit.on(longs(f.offsets))];
  const outputs: Guarded[] = [];
  everyWay(kit, () => {
    const work = new Guarded(kit, splits * f.p * f.d);
    const sum = new Guarded(kit, f.p * f.d, 'float64', 0);
    kit.kernels.clipped_sum_!(a, g, c, offsets, exact, splits, work.tensor, sum.tensor);
    outputs.push(work, sum);
    return [sum.tensor];
  });
  outputs.forEach((output) => output.check());
  return outputs[1]!.values();
}

const SHAPES = [
  { lengths: [5], d: 8, p: 3 },
  { lengths: [0, 1, 63, 64, 65, 130], d: 64, p: 65 },
  { lengths: [200, 3], d: 33, p: 1 },
  { lengths: [17, 129], d: 1, p: 97 },
  { lengths: [66], d: 150, p: 72 },
];

export function denseLaws(kit: Kit): void {
  const all = SHAPES.flatMap((shape) =>
    ([true, false] as const).flatMap((gram) =>
      (['float32', 'float64'] as const).map((dtype) => ({
        ...shape,
        gram,
        dtype,
        bias: (shape.d + shape.p) % 2 === 1,
      })),
    ),
  );

  test.each(all.map((c) => [c.gram ? 'Gram' : 'direct', c.dtype, c.lengths.join(' '), c.d, c.p, c.bias, c] as const))(
    '%s norms of %s rows (samples of %s, d %d, p %d, bias %s) are those of the gradients, and bound covers them',
    (_form, dtype, _lengths, _d, _p, _bias, c) => {
      const f = random(c.d * 1000 + c.p, c.lengths, c.d, c.p);
      const got = ghostNorm(kit, f, dtype, c.gram, c.bias);
      const tolerance = dtype === 'float32' ? 2e-6 : 1e-13;
      gradients(f, c.bias).forEach((gradient, b) => {
        const want = norm2(gradient);
        expect(Math.abs(got.norm2[b]! - want)).toBeLessThanOrEqual(tolerance * want);
        expect(got.bound[b]).toBeGreaterThanOrEqual(Math.sqrt(want));
        expect(got.bound[b]).toBeLessThanOrEqual(Math.sqrt(want) * 1.01);
        // Whatever the data, roundings of the Gram matrices may be that large (tile.h, and Cauchy-Schwarz).
        const unit = dtype === 'float32' ? 2 ** -24 : 2 ** -53;
        const roundings = [f.d, f.p].reduce((sum, n) => sum + Math.min(n, 64) + Math.ceil(n / 64), 0);
        const room = c.gram ? roundings * unit * products(f, b, c.bias) ** 2 : 0;
        expect(got.bound[b]).toBeGreaterThanOrEqual(Math.sqrt(got.norm2[b]! + room));
      });
    },
  );

  test('a sample whose Gram matrices cancel is found and formed in float64', () => {
    const f = random(7, [40, 40, 40], 24, 16);
    // Sample 1: one large direction in every input row, gradients that add up to nothing (kernels.md 1.7).
    const { a, g, d, p } = f;
    for (let t = 40; t < 80; t++) for (let j = 0; j < d; j++) a[t * d + j] = Math.fround(3000 + a[t * d + j]!);
    for (let i = 0; i < p; i++) {
      let sum = 0;
      for (let t = 40; t < 79; t++) sum += g[t * p + i] = Math.round(64 * g[t * p + i]!) / 64;
      g[79 * p + i] = -sum;
    }
    const got = ghostNorm(kit, f, 'float32', true, false);
    expect(Array.from(kit.back(got.exact).toTypedArray() as Uint8Array)).toEqual([0, 1, 0]);
    const each = gradients(f, false);
    each.forEach((gradient, b) => {
      const want = Math.sqrt(norm2(gradient));
      expect(got.bound[b]).toBeGreaterThanOrEqual(want);
      expect(got.bound[b]).toBeLessThanOrEqual(want * 1.01);
    });
    // What is added is what was measured: the contribution stays within its bound.
    const factors = [0, 1 / got.bound[1]!, 0];
    const sum = clippedSum(kit, f, 'float32', factors, got.exact, 2);
    const size = Math.sqrt(norm2(sum));
    expect(size).toBeLessThanOrEqual(1);
    expect(size).toBeGreaterThan(0.99);
  });

  test('a sample that is not finite has no norm, and the others keep theirs', () => {
    const f = random(11, [9, 9, 9], 8, 8);
    const plain = ghostNorm(kit, f, 'float32', true, true);
    f.a[9 * 8 + 3] = Number.NaN;
    f.g[20 * 8] = Number.POSITIVE_INFINITY;
    const got = ghostNorm(kit, f, 'float32', true, true);
    expect(got.bound[0]).toBe(plain.bound[0]);
    expect([got.bound[1], got.bound[2]].map(Number.isFinite)).toEqual([false, false]);
    const sum = clippedSum(kit, f, 'float32', [0.5, 0, 0], got.exact, 1);
    const want = gradients(f, false)[0]!;
    sum.forEach((x, i) => expect(Math.abs(x - 0.5 * want[i]!)).toBeLessThan(1e-5));
  });

  test('gradients whose squares vanish keep a bound above their norm', () => {
    const f = random(13, [6, 6], 16, 5);
    for (let i = 0; i < f.g.length; i++) f.g[i] = Math.fround(f.g[i]! * 1e-36);
    const got = ghostNorm(kit, f, 'float32', true, false);
    gradients(f, false).forEach((gradient, b) => {
      expect(got.bound[b]).toBeGreaterThanOrEqual(Math.hypot(...gradient));
    });
  });

  test.each([1, 2, 5])('clipped sums over %d splits are the sums of factor times gradient', (splits) => {
    const f = random(17, [70, 0, 3, 64, 130, 1], 65, 20);
    const factors = [0.5, 1, 0, 0.25, 1e-3, 7];
    const flags = kit.on(bytes([0, 0, 0, 1, 0, 1]));
    const sum = clippedSum(kit, f, 'float32', factors, flags, splits);
    const each = gradients(f, false);
    const want = new Float64Array(sum.length);
    each.forEach((gradient, b) => gradient.forEach((x, i) => (want[i]! += factors[b]! * x)));
    const error = Math.sqrt(norm2(sum.map((x, i) => x - want[i]!)));
    expect(error).toBeLessThan(1e-6 * Math.sqrt(norm2(want)));
  });

  test('an empty batch touches nothing', () => {
    const none = fromTypedArray(new Float64Array(0), [0]);
    const f: Factors = { a: new Float64Array(0), g: new Float64Array(0), offsets: [0], d: 4, p: 3 };
    expect(ghostNorm(kit, f, 'float64', true, false).norm2.length).toBe(0);
    expect(clippedSum(kit, f, 'float64', [], kit.on(none.to('uint8')), 1).every((x) => x === 0)).toBe(true);
  });
}
