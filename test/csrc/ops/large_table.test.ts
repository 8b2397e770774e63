// A table too large to be packed for all rows at once: the softmax head packs its panels on the way, and nothing else changes.

import { keep, randn, type Tensor, torch } from '../../../lib/tensor';
import { ints } from './book';

const ops = torch.ops.phantomgrad;
const [SMALL, LARGE, D] = [1024, 2 ** 17 + 65, 64]; // 33 MiB of float32, and a last panel of one column
const rows = keep(randn([LARGE, D]).div(Math.sqrt(D)));
const hidden = keep(randn([5, D]));
const targets = [0, 63, 64, 1023, 500];

function head(table: Tensor, ids: number[], candidates: Tensor | null): { loss: Tensor; gradient: Tensor } {
  const own = hidden.clone().requiresGrad_();
  const loss = ops.softmax_cross_entropy_head(own, table, ints(ids), null, null, { candidates });
  loss.sum().backward();
  return { loss: loss.detach(), gradient: own.grad! };
}

test('a large table of which only the first rows take part is the small table, bit for bit', () => {
  const large = head(rows, targets, ints(Array.from({ length: SMALL }, (_, j) => j)));
  const small = head(rows.narrow(0, 0, SMALL).clone(), targets, null);
  expect(large.loss.toArray()).toEqual(small.loss.toArray());
  expect(large.gradient.add(0).toArray()).toEqual(small.gradient.add(0).toArray()); // -0 is 0
});

test('losses of a large table are those of its logits in double, its last row included', () => {
  const ids = [...targets.slice(1), LARGE - 1];
  const logits = hidden.to('float64').matmul(rows.to('float64').t());
  const expected = logits
    .logsumexp([1])
    .sub(logits.gather(1, ints(ids).unsqueeze(1)).squeeze(1))
    .toArray() as number[];
  const { loss } = head(rows, ids, null);
  (loss.toArray() as number[]).forEach((value, t) => expect(Math.abs(value / expected[t]! - 1)).toBeLessThan(1e-5));
});
