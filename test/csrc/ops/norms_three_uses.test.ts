// Reference vectors of three-way tying: encoder input, decoder input and softmax head share one table.

import { tensor, torch, type Tensor } from '../../../lib/tensor';
import { inSegments, ints, sampleSums, step } from './book';
import { expectClose } from './numbers';
import { PRECISIONS, rows, vectors } from './vectors';

interface ThreeCase {
  name: string;
  vocab: number;
  dim: number;
  alpha: number;
  label_smoothing: number;
  E: number[][];
  enc_offsets: number[];
  enc_ids: number[];
  enc_u: number[][];
  dec_offsets: number[];
  dec_ids: number[];
  dec_u: number[][];
  h: number[][];
  targets: number[];
  weights: number[];
  norm2_enc: number[];
  norm2_dec: number[];
  norm2_head: number[];
  norm2: number[];
  sum_grad_E: number[][];
}

const { cases } = vectors('norms_tied_three_uses.json') as { cases: ThreeCase[] };
const ops = torch.ops.phantomgrad;

describe.each(PRECISIONS)('$dtype', ({ dtype, norm2, cancelling, sum }) => {
  test.each(cases.map((c) => [c.name, c] as const))('%s: norm and sum over the three uses', (_name, c) => {
    const table = rows(c.E, c.dim, dtype).requiresGrad_();
    const embedded = (ids: number[], u: number[][], offsets: number[]): Tensor =>
      inSegments(offsets, () =>
        sampleSums(
          ops
            .embedding(ints(ids), table, { scale: c.alpha })
            .mul(rows(u, c.dim, dtype))
            .sum([1]),
          offsets,
        ),
      );
    const got = step({ table }, null, () => {
      const inputs = embedded(c.enc_ids, c.enc_u, c.enc_offsets).add(embedded(c.dec_ids, c.dec_u, c.dec_offsets));
      const head = inSegments(c.dec_offsets, () =>
        ops.softmax_cross_entropy_head(rows(c.h, c.dim, dtype), table, ints(c.targets), {
          weights: tensor(c.weights, { dtype }),
          label_smoothing: c.label_smoothing,
        }),
      );
      return inputs.add(head);
    });
    c.norm2.forEach((want, b) => {
      const size = c.norm2_enc[b]! + c.norm2_dec[b]! + c.norm2_head[b]!;
      expectClose([got.norm2['table']![b]!], [want], { relative: norm2, absolute: 10 * cancelling * size });
    });
    expectClose(got.sums['table']!, c.sum_grad_E.flat(), { absolute: sum, relative: sum });
  });
});
