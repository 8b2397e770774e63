// Reference vectors of clipped sums: three rules, three thresholds, samples of norm zero, NaN and infinity.

import { abadi, automatic, normalize } from '../../../lib/privacy/clip';
import { torch, zeros } from '../../../lib/tensor';
import { inSegments, ints, sampleSums, withBook } from './book';
import { expectClose } from './numbers';
import { number, PRECISIONS, rows, vectors } from './vectors';

interface Result {
  style: string;
  C: number;
  gamma: number | null;
  factors: number[];
  sum_W: number[][];
  sum_b: number[];
  sum_E: number[][];
}
interface ClippedCase {
  name: string;
  offsets: number[];
  a: (number | string)[][];
  g: (number | string)[][];
  ids: number[];
  u: (number | string)[][];
  vocab: number;
  norms: (number | string)[];
  not_finite: number[];
  results: Result[];
}

const { cases } = vectors('clipped_sums.json') as { cases: ClippedCase[] };
const ops = torch.ops.phantomgrad;

function rule({ style, C, gamma }: Result) {
  const options = { maxGradNorm: C, slack: 0 };
  if (style === 'abadi') return abadi(options);
  return style === 'normalize' ? normalize(options) : automatic({ ...options, ...(gamma === null ? {} : { gamma }) });
}

test('the cases hold samples of norm zero, NaN and infinity', () => {
  const norms = cases.flatMap((c) => c.norms.map(number));
  for (const kind of [(n: number) => n === 0, Number.isNaN, (n: number) => !Number.isFinite(n)])
    expect(norms.some(kind)).toBe(true);
});

describe.each(PRECISIONS)('$dtype', ({ dtype, norm2, sum: tolerance }) => {
  test.each(cases.map((c) => [c.name, c] as const))('%s: norms, factors and sums', (_name, c) => {
    const [d_in, d_out, d] = [c.a[0]!.length, c.g[0]!.length, c.u[0]!.length];
    for (const result of c.results) {
      const parameters = {
        W: zeros([d_out, d_in], { dtype }).requiresGrad_(),
        b: zeros([d_out], { dtype }).requiresGrad_(),
        E: zeros([c.vocab, d], { dtype }).requiresGrad_(),
      };
      withBook(parameters, (book) => {
        const loss = inSegments(c.offsets, () => {
          const y = ops
            .linear(rows(c.a, d_in, dtype), parameters.W, parameters.b)
            .mul(rows(c.g, d_out, dtype))
            .sum([1]);
          const x = ops
            .embedding(ints(c.ids), parameters.E)
            .mul(rows(c.u, d, dtype))
            .sum([1]);
          return sampleSums(y.add(x), c.offsets);
        });
        const { norm, bound } = book.backward(loss).norms();
        c.norms.map(number).forEach((want, b) => {
          if (Number.isFinite(want)) expectClose([norm[b]!], [want], { relative: norm2 });
          else expect(Number.isFinite(norm[b])).toBe(false);
        });
        // Certified bounds are a little above the norms of the file, factors a little below its factors.
        const factors = [...rule(result).factors(Float64Array.from(bound))];
        const slack = dtype === 'float32' ? 1e-4 : 1e-11;
        expectClose(factors, result.factors, { relative: slack, what: `${result.style} ${result.C} factor` });
        const { W, b, E } = book.accumulate(factors).sums();
        const allowed = { absolute: 10 * tolerance + slack * Math.max(1, result.C), relative: slack };
        expectClose(W!, result.sum_W.flat(), allowed);
        expectClose(b!, result.sum_b, allowed);
        expectClose(E!, result.sum_E.flat(), allowed);
      });
    }
  });

  test.each(cases.filter((c) => c.not_finite.length > 0).map((c) => [c.name, c] as const))(
    '%s: the sums are, bit for bit, those of the same batch with zero rows for the samples that are not finite',
    (_name, c) => {
      const run = (replaced: boolean): Float64Array => {
        const clean = (values: (number | string)[][]) =>
          values.map((row, t) =>
            replaced && c.not_finite.some((b) => t >= c.offsets[b]! && t < c.offsets[b + 1]!) ? row.map(() => 0) : row,
          );
        const E = zeros([c.vocab, c.u[0]!.length], { dtype }).requiresGrad_();
        const W = zeros([c.g[0]!.length, c.a[0]!.length], { dtype }).requiresGrad_();
        return withBook({ W, E }, (book) => {
          const loss = inSegments(c.offsets, () =>
            sampleSums(
              ops
                .linear(rows(clean(c.a), c.a[0]!.length, dtype), W)
                .mul(rows(clean(c.g), c.g[0]!.length, dtype))
                .sum([1])
                .add(
                  ops
                    .embedding(ints(c.ids), E)
                    .mul(rows(clean(c.u), c.u[0]!.length, dtype))
                    .sum([1]),
                ),
              c.offsets,
            ),
          );
          const { bound } = book.backward(loss).norms();
          return book
            .accumulate([...abadi({ maxGradNorm: 1 }).factors(Float64Array.from(bound))])
            .flat()
            .slice();
        });
      };
      expect([...run(false)]).toEqual([...run(true)]);
    },
  );
});
