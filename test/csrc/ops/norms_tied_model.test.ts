// Reference vectors of a whole small tied model, from tokens to norms: causal attention, tanh, a residual, a tied head.

import { noGrad, tensor, torch } from '../../../lib/tensor';
import { ints, step } from './book';
import { expectCertified, expectClose } from './numbers';
import { PRECISIONS, rows, vectors } from './vectors';

interface ModelCase {
  name: string;
  vocab: number;
  dim: number;
  label_smoothing: number;
  sequences: number[][];
  E: number[][];
  W1: number[][];
  b1: number[];
  Wq: number[][];
  norm2_E: number[];
  norm2_W1: number[];
  norm2_b1: number[];
  norm2_Wq: number[];
  norm2: number[];
  loss: number[];
}

const { cases } = vectors('norms_tied_model.json') as { cases: ModelCase[] };
const ops = torch.ops.phantomgrad;

describe.each(PRECISIONS)('$dtype', ({ dtype, norm2: tolerance }) => {
  test.each(cases.map((c) => [c.name, c] as const))('%s: norms of every parameter, packed', (_name, c) => {
    const d = c.dim;
    const parameters = {
      E: rows(c.E, d, dtype).requiresGrad_(),
      W1: rows(c.W1, d, dtype).requiresGrad_(),
      b1: tensor(c.b1, { dtype, requiresGrad: true }),
      Wq: rows(c.Wq, d, dtype).requiresGrad_(),
    };
    const offsets = c.sequences.reduce((all, s) => [...all, all[all.length - 1]! + s.length - 1], [0]);
    let losses: number[] = [];
    const got = step(parameters, offsets, () => {
      const x = ops.embedding(ints(c.sequences.flatMap((s) => s.slice(0, -1))), parameters.E);
      const mixed = ops.attention(ops.linear(x, parameters.Wq), x, x, ints(offsets), { heads: 1, causal: true });
      const h = ops.linear(mixed, parameters.W1, parameters.b1).tanh().add(x);
      const targets = ints(c.sequences.flatMap((s) => s.slice(1)));
      const loss = ops.softmax_cross_entropy_head(h, parameters.E, targets, {
        label_smoothing: c.label_smoothing,
        mean: true,
      });
      losses = noGrad(() => loss.toArray()) as number[];
      return loss;
    });
    expectClose(losses, c.loss, { relative: tolerance });
    for (const [name, want] of Object.entries({ E: c.norm2_E, W1: c.norm2_W1, b1: c.norm2_b1, Wq: c.norm2_Wq }))
      expectClose(got.norm2[name]!, want, {
        relative: 10 * tolerance,
        absolute: tolerance * Math.max(...c.norm2),
        what: name,
      });
    expectClose(
      got.norm.map((n) => n * n),
      c.norm2,
      { relative: 4 * tolerance },
    );
    if (dtype === 'float64')
      expectCertified(
        got.bound,
        c.norm2.map((n) => Math.sqrt(n) * (1 - 1e-10)),
      );
  });
});
