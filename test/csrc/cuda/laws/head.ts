// Laws of the softmax head's sweeps on a device: the twin's loss, gradients, norms and sums; tied tables with their cross term.

import { torch } from '../../../../lib/tensor';
import { expectNear, norm } from '../../ops/numbers';
import { Random } from '../../ops/random';
import { bytes, doubles, everyWay, Guarded, longs, numbers } from '../arrays';
import type { Kit } from '../kit';

interface Case {
  readonly lengths: readonly number[];
  readonly vocabulary: number;
  readonly d: number;
  readonly smoothing: number;
  readonly scale: number;
  /** Every third column is outside the softmax. */
  readonly masked: boolean;
  readonly bias: boolean;
  readonly dtype: 'float32' | 'float64';
  readonly parts: number;
}

const CASES: readonly Case[] = [
  {
    lengths: [3, 0, 5],
    vocabulary: 7,
    d: 5,
    smoothing: 0,
    scale: 1,
    masked: false,
    bias: false,
    dtype: 'float64',
    parts: 1,
  },
  {
    lengths: [70, 1, 64],
    vocabulary: 131,
    d: 64,
    smoothing: 0.1,
    scale: 0.5,
    masked: true,
    bias: true,
    dtype: 'float32',
    parts: 2,
  },
  {
    lengths: [12],
    vocabulary: 65,
    d: 130,
    smoothing: 0,
    scale: 2,
    masked: true,
    bias: false,
    dtype: 'float32',
    parts: 1,
  },
  {
    lengths: [9, 30],
    vocabulary: 200,
    d: 24,
    smoothing: 0.05,
    scale: 1,
    masked: false,
    bias: true,
    dtype: 'float64',
    parts: 3,
  },
  { lengths: [2], vocabulary: 1, d: 1, smoothing: 0, scale: 1, masked: false, bias: false, dtype: 'float32', parts: 2 },
];

const INPUT_SCALE = 1.5;
const PADDING = 2;

function make(c: Case, kit: Kit) {
  const draw = new Random(c.vocabulary * 100 + c.d);
  const offsets = [0];
  c.lengths.forEach((length) => offsets.push(offsets.at(-1)! + length));
  const rows = offsets.at(-1)!;
  const { vocabulary, d, scale, dtype } = c;
  const live = Array.from({ length: vocabulary }, (_, v) => (c.masked && v % 3 === 1 ? 0 : 1));
  const columns = live.flatMap((one, v) => (one === 1 ? [v] : []));
  const hidden = draw.normals(rows * d).map((x) => Math.fround(x));
  const table = draw.normals(vocabulary * d, 0.5);
  const bias = c.bias ? draw.normals(vocabulary) : null;
  const targets = Array.from({ length: rows }, () => draw.pick(columns));
  const weights = Float64Array.from({ length: rows }, (_, t) => (t % 4 === 3 ? 0 : Math.fround(0.5 + draw.uniform())));
  const ids = Array.from({ length: rows }, () => draw.below(vocabulary));
  const u = draw.normals(rows * d, 0.2);
  // A power of two as scale: the scaled rows are float32 numbers, so both precisions have one truth.
  const scaled = hidden.map((x) => x * scale);
  const of = (values: ArrayLike<number>, shape = [values.length]) => kit.on(doubles(values, shape).to(dtype));
  const flags = c.masked ? kit.on(bytes(live)) : null;
  const head = [
    of(scaled, [rows, d]), of(table, [vocabulary, d]), bias === null ? null : of(bias), flags,
    kit.on(longs(targets)), of(weights), kit.on(longs(offsets)), columns.length, c.smoothing,
  ]; // prettier-ignore
  const twin = torch.ops.phantomgrad.reference_softmax_head(
    doubles(hidden, [rows, d]), doubles(table, [vocabulary, d]), longs(targets), doubles(weights),
    bias === null ? null : doubles(bias), longs(offsets),
    { scale, label_smoothing: c.smoothing, live: c.masked ? bytes(live) : null },
  ).map(numbers); // prettier-ignore
  return { offsets, rows, ids, u, head, twin, of, samples: c.lengths.length };
}

function forward(kit: Kit, c: Case, head: readonly unknown[], rows: number) {
  const size = Number(kit.kernels.head_forward_workspace!(rows, c.d, c.parts));
  const outputs: Guarded[] = [];
  everyWay(kit, () => {
    const work = new Guarded(kit, size);
    const [lse, loss] = [new Guarded(kit, rows, c.dtype), new Guarded(kit, rows)];
    const [dHidden, squares] = [new Guarded(kit, rows * c.d, c.dtype), new Guarded(kit, rows)];
    const all = [work, lse, loss, dHidden, squares];
    kit.kernels.head_forward_!(...head, c.scale, c.parts, ...all.map(({ tensor }) => tensor));
    outputs.push(...all);
    return all.slice(1).map(({ tensor }) => tensor);
  });
  outputs.forEach((output) => output.check());
  return outputs.slice(1, 5) as [Guarded, Guarded, Guarded, Guarded];
}

export function headLaws(kit: Kit): void {
  test.each(CASES.map((c) => [c.vocabulary, c.d, c.dtype, c.lengths.join(' '), c] as const))(
    'a head over %d columns of width %d (%s, samples of %s) has its twin’s loss, gradients, norms and sums',
    (vocabulary, d, dtype, _lengths, c) => {
      const { offsets, rows, ids, u, head, twin, of, samples } = make(c, kit);
      const [wantLoss, wantLse, residual, wantHidden, wantTable] = twin as [
        Float64Array,
        Float64Array,
        Float64Array,
        Float64Array,
        Float64Array,
      ];
      const tolerance = dtype === 'float32' ? 2e-6 : 1e-13;
      const [lse, loss, dHidden, squares] = forward(kit, c, head, rows);
      expectNear(lse.values(), wantLse, tolerance, { what: 'lse' });
      const lossOf = loss.values();
      expectNear(offsets.slice(1).map((end, b) => lossOf.slice(offsets[b], end).reduce((x, y) => x + y, 0)), wantLoss, tolerance, { what: 'loss' }); // prettier-ignore
      expectNear(dHidden.values(), wantHidden, tolerance, { what: 'd_hidden' });
      const wantSquares = Array.from(
        { length: rows },
        (_, t) => norm(residual.subarray(t * vocabulary, (t + 1) * vocabulary)) ** 2,
      );
      expectNear(squares.values(), wantSquares, 4 * tolerance, {
        what: 'squares',
        scale: Math.max(1e-3, norm(wantSquares)),
      });

      const biases: Guarded[] = [];
      everyWay(kit, () => {
        biases.push(new Guarded(kit, samples * vocabulary));
        kit.kernels.head_bias_!(...head, lse.tensor, biases.at(-1)!.tensor);
        return [biases.at(-1)!.tensor];
      });
      biases.forEach((bias) => bias.check());
      const wantBias = new Float64Array(samples * vocabulary);
      for (let b = 0; b < samples; b++)
        for (let t = offsets[b]!; t < offsets[b + 1]!; t++)
          for (let v = 0; v < vocabulary; v++) wantBias[b * vocabulary + v]! += residual[t * vocabulary + v]!;
      expectNear(biases[0]!.values(), wantBias, 4 * tolerance, { what: 'd_bias' });

      // Alone, and tied with an embedding whose rows are u.
      const size = vocabulary * d;
      const longest = Math.max(...c.lengths);
      const embedding = Array.from({ length: samples }, () => new Float64Array(size));
      for (let b = 0; b < samples; b++)
        for (let t = offsets[b]!; t < offsets[b + 1]!; t++)
          if (ids[t] !== PADDING)
            for (let j = 0; j < d; j++) embedding[b]![ids[t]! * d + j]! += INPUT_SCALE * u[t * d + j]!;
      const inNorm2 = embedding.map((gradient) => norm(gradient) ** 2);
      for (const tied of [false, true]) {
        const inputs = tied
          ? [kit.on(longs(ids)), of(u, [rows, d]), head[6], kit.on(doubles(inNorm2)), INPUT_SCALE, PADDING, longest]
          : [null, null, null, null, 1, -1, longest];
        const outputs: Guarded[] = [];
        const workspace = Number(kit.kernels.head_norm_workspace!(samples, vocabulary, d, longest));
        everyWay(kit, () => {
          const [work, square, bound] = [workspace, samples, samples].map((n) => new Guarded(kit, n)) as [
            Guarded,
            Guarded,
            Guarded,
          ];
          const failed = kit.on(bytes(new Uint8Array(samples)));
          kit.kernels.head_norm_!(
            ...head,
            lse.tensor,
            squares.tensor,
            ...inputs,
            0.008,
            work.tensor,
            square.tensor,
            bound.tensor,
            failed,
          );
          outputs.push(square, bound, work);
          return [square.tensor, bound.tensor, failed];
        });
        outputs.forEach((output) => output.check());
        const [square, bound] = outputs.map((output) => output.values()) as [Float64Array, Float64Array];
        for (let b = 0; b < samples; b++) {
          const gradient = wantTable
            .subarray(b * size, (b + 1) * size)
            .map((x, i) => x + (tied ? embedding[b]![i]! : 0));
          const want = norm(gradient);
          const scale = norm(wantTable.subarray(b * size, (b + 1) * size)) + (tied ? norm(embedding[b]!) : 0);
          expect(Math.abs(square[b]! - want ** 2)).toBeLessThanOrEqual(4 * tolerance * scale ** 2);
          // The truth is that of exact residuals; the certificate speaks of the stored ones, `tolerance` away.
          expect(bound[b]).toBeGreaterThanOrEqual(want - tolerance * scale);
          expect(bound[b]).toBeLessThanOrEqual(want * 1.02 + 2e-3 * scale);
        }
      }

      const factors = c.lengths.map((_, b) => (b === 1 ? 0 : 0.5 + b));
      const sums: Guarded[] = [];
      everyWay(kit, () => {
        const [work, sum] = [new Guarded(kit, 2 * size), new Guarded(kit, size, 'float64', 0)];
        kit.kernels.head_sum_!(...head, lse.tensor, kit.on(doubles(factors)), 2, work.tensor, sum.tensor);
        sums.push(sum, work);
        return [sum.tensor];
      });
      sums.forEach((sum) => sum.check());
      const want = new Float64Array(size);
      factors.forEach((factor, b) => want.forEach((_, i) => (want[i]! += factor * wantTable[b * size + i]!)));
      expectNear(sums[0]!.values(), want, tolerance, { what: 'sum', scale: Math.max(norm(want), 1e-3) });
    },
  );

  test('a row that is not finite poisons its own sample, and dropped samples are not read', () => {
    const c = CASES[0]!;
    const { rows, head, samples } = make(c, kit);
    const [clean] = forward(kit, c, head, rows);
    const broken = [...head];
    const values = numbers(kit.back(head[0] as never));
    values[4 * c.d] = Number.NaN;
    broken[0] = kit.on(doubles(values, [rows, c.d]));
    const [lse, loss, , squares] = forward(kit, c, broken, rows);
    const [own, plain, losses] = [lse.values(), clean.values(), loss.values()];
    own.forEach((x, t) => expect(x).toBe(t === 4 ? Number.NaN : plain[t]));
    expect(losses[4]).toBeNaN();
    const work = new Guarded(kit, Number(kit.kernels.head_norm_workspace!(samples, c.vocabulary, c.d, 5)));
    const [square, bound] = [new Guarded(kit, samples), new Guarded(kit, samples)];
    const failed = kit.on(bytes(new Uint8Array(samples)));
    kit.kernels.head_norm_!(
      ...broken, lse.tensor, squares.tensor, null, null, null, null, 1, -1, 5, 0.008,
      work.tensor, square.tensor, bound.tensor, failed,
    ); // prettier-ignore
    expect([...bound.values()].map(Number.isFinite)).toEqual([true, true, false]);
    const [partial, sum] = [new Guarded(kit, c.vocabulary * c.d), new Guarded(kit, c.vocabulary * c.d, 'float64', 0)];
    kit.kernels.head_sum_!(...broken, lse.tensor, kit.on(doubles([1, 1, 0])), 1, partial.tensor, sum.tensor);
    expect(sum.values().every(Number.isFinite)).toBe(true);
  });
}
