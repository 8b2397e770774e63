// Reference vectors of embeddings: repeated ids, a padding id without gradient, a scale.

import { torch, zeros } from '../../../lib/tensor';
import { ints, sampleSums, step } from './book';
import { EMBEDDING } from './norm_cases';
import { expectClose } from './numbers';
import { PRECISIONS, rows } from './vectors';

describe.each(PRECISIONS)('$dtype', ({ dtype, norm2, cancelling, sum }) => {
  test.each(EMBEDDING.map((c) => [c.name, c] as const))('%s: norms and sums', (_name, c) => {
    const table = zeros([c.vocab, c.dim], { dtype }).requiresGrad_();
    const got = step({ table }, c.offsets, () => {
      const x = torch.ops.phantomgrad.embedding(ints(c.ids), table, { padding_id: c.padding_id ?? -1, scale: c.scale });
      return sampleSums(x.mul(rows(c.u, c.dim, dtype)).sum([1]), c.offsets);
    });
    const lengths = c.u.map((row) => c.scale * Math.hypot(...row));
    c.norm2.forEach((want, b) => {
      const size = lengths.slice(c.offsets[b], c.offsets[b + 1]).reduce((x, y) => x + y, 0) ** 2;
      expectClose([got.norm2['table']![b]!], [want], { relative: norm2, absolute: cancelling * size });
    });
    expectClose(got.sums['table']!, c.sum_grad.flat(), { absolute: sum, relative: sum });
  });
});
