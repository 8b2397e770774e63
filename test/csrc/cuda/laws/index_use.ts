// Laws of embeddings' norms and sums on a device: equal ids are summed before they are squared; padding and dropped rows are not read.

import { Random } from '../../ops/random';
import { bytes, doubles, everyWay, Guarded, longs } from '../arrays';
import type { Kit } from '../kit';

/** Entries in an order in which equal ids of one sample are neighbours. Padding is left out. */
function planOf(ids: readonly number[], offsets: readonly number[], padding: number) {
  const plan: number[] = [];
  const opens: number[] = [];
  const begin = [0];
  offsets.slice(1).forEach((end, b) => {
    const own = ids.map((_, e) => e).slice(offsets[b], end);
    const sorted = own.filter((e) => ids[e] !== padding).sort((x, y) => ids[x]! - ids[y]! || x - y);
    sorted.forEach((e, i) => {
      plan.push(e);
      opens.push(i === 0 || ids[sorted[i - 1]!] !== ids[e] ? 1 : 0);
    });
    begin.push(plan.length);
  });
  return { plan, opens, begin };
}

export function indexLaws(kit: Kit): void {
  const cases = [
    { d: 5, fan: 1, vocabulary: 3, lengths: [7, 0, 1, 40] },
    { d: 64, fan: 1, vocabulary: 50, lengths: [64, 65] },
    { d: 97, fan: 3, vocabulary: 11, lengths: [12, 30, 9] },
  ];
  test.each(
    cases.flatMap((c) =>
      (['float32', 'float64'] as const).map((dtype) => [c.d, c.fan, c.vocabulary, dtype, c] as const),
    ),
  )(
    'rows of width %d (%d entries a row, %d ids, %s) have the norms and sums of the gradients that they make',
    (d, fan, vocabulary, dtype, { lengths }) => {
      const draw = new Random(d);
      const offsets = [0];
      lengths.forEach((length) => offsets.push(offsets.at(-1)! + length));
      const entries = offsets.at(-1)!;
      const ids = Array.from({ length: entries }, () => Math.floor(draw.uniform() * vocabulary));
      const rows = draw.normals((entries / fan) * d).map(Math.fround);
      const coefficients = fan === 1 ? null : draw.normals(entries).map(Math.fround);
      const [scale, padding] = [0.5, 1];
      const { plan, opens, begin } = planOf(ids, offsets, padding);
      const factor = lengths.map((_, b) => (b === 1 ? 0 : 0.25 * (b + 1)));
      const samples = lengths.length;

      const want = Array.from({ length: samples }, () => new Float64Array(vocabulary * d));
      const sizes = Array.from({ length: samples }, () => 0);
      offsets.slice(1).forEach((end, b) => {
        for (let e = offsets[b]!; e < end; e++) {
          if (ids[e] === padding) continue;
          const weight = scale * (coefficients === null ? 1 : coefficients[e]!);
          for (let j = 0; j < d; j++) want[b]![ids[e]! * d + j]! += weight * rows[Math.floor(e / fan) * d + j]!;
          sizes[b]! += 1;
        }
      });

      const table = kit.on(doubles(rows, [entries / fan, d]).to(dtype));
      const weights = coefficients === null ? null : kit.on(doubles(coefficients).to(dtype));
      const [order, starts] = [kit.on(longs(plan)), kit.on(longs(begin))];
      const flags = kit.on(bytes(opens));
      // Over the batch: equal ids of all samples together.
      const listed = [...plan].sort((x, y) => ids[x]! - ids[y]! || x - y);
      const distinct = [...new Set(listed.map((e) => ids[e]!))];
      const runs = distinct.map((id) => listed.findIndex((e) => ids[e] === id)).concat(listed.length);
      const sampleOf = ids.map((_, e) => offsets.findIndex((end, b) => b > 0 && e < end) - 1);
      const tables = [longs(listed), longs(runs), longs(distinct), longs(sampleOf), doubles(factor)].map(kit.on);
      const outputs: Guarded[] = [];
      everyWay(kit, () => {
        const size = Number(kit.kernels.index_norm_workspace!(samples, d));
        const [work, square, bound] = [size, samples, samples].map((n) => new Guarded(kit, n)) as [
          Guarded,
          Guarded,
          Guarded,
        ];
        const sum = new Guarded(kit, vocabulary * d, 'float64', 0);
        kit.kernels.index_norm_!(
          table,
          weights,
          entries,
          scale,
          order,
          flags,
          starts,
          work.tensor,
          square.tensor,
          bound.tensor,
        );
        kit.kernels.index_sum_!(table, weights, scale, ...tables, sum.tensor.view([vocabulary, d]));
        outputs.push(square, bound, sum, work);
        return [square.tensor, bound.tensor, sum.tensor];
      });
      outputs.forEach((output) => output.check());
      const [square, bound, sum] = outputs.map((output) => output.values()) as [
        Float64Array,
        Float64Array,
        Float64Array,
      ];
      want.forEach((gradient, b) => {
        const norm = Math.hypot(...gradient);
        expect(Math.abs(square[b]! - norm * norm)).toBeLessThanOrEqual(1e-12 * norm * norm);
        expect(bound[b]).toBeGreaterThanOrEqual(norm);
        expect(bound[b]).toBeLessThanOrEqual(norm * (1 + 1e-8));
      });
      for (let i = 0; i < vocabulary * d; i++) {
        const exact = want.reduce((total, gradient, b) => total + factor[b]! * gradient[i]!, 0);
        expect(Math.abs(sum[i]! - exact)).toBeLessThanOrEqual(1e-12);
      }
    },
  );
}
