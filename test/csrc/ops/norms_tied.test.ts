// Reference vectors of a table that is embedding and softmax head: smoothing, masks, candidates, bias, scales.

import { tensor, torch, type Tensor } from '../../../lib/tensor';
import { ints, sampleSums, step } from './book';
import { TIED, type TiedCase } from './norm_cases';
import { expectCertified, expectClose } from './numbers';
import { type Dtype, PRECISIONS, rows } from './vectors';

const ops = torch.ops.phantomgrad;
const padding = (c: TiedCase): number => c.padding_id ?? -1;

/** Σ_t u_t . x_t of each sample: the gradient at x is u. */
function embedded(c: TiedCase, table: Tensor, dtype: Dtype): Tensor {
  const x = ops.embedding(ints(c.ids), table, { padding_id: padding(c), scale: c.alpha });
  return sampleSums(x.mul(rows(c.u, c.dim, dtype)).sum([1]), c.offsets);
}

function head(c: TiedCase, hidden: Tensor, table: Tensor, bias: Tensor, dtype: Dtype): Tensor {
  return ops.softmax_cross_entropy_head(hidden, table, ints(c.targets), tensor(c.weights, { dtype }), bias, {
    scale: c.tau,
    label_smoothing: c.label_smoothing,
    padding_id: padding(c),
    candidates: c.candidates === null ? null : ints(c.candidates),
    mean: c.mean_over_weights,
  });
}

describe.each(PRECISIONS)('$dtype', ({ dtype, norm2, cancelling, sum }) => {
  const leaf = (values: Tensor): Tensor => values.requiresGrad_();
  const biasOf = (c: TiedCase): Tensor => leaf(tensor(c.out_bias ?? c.E.map(() => 0), { dtype }));

  test.each(TIED.map((c) => [c.name, c] as const))('%s: tied', (_name, c) => {
    const parameters = { table: leaf(rows(c.E, c.dim, dtype)), bias: biasOf(c) };
    const hidden = leaf(rows(c.h, c.dim, dtype));
    let losses: number[] = [];
    const got = step(parameters, c.offsets, () => {
      const loss = head(c, hidden, parameters.table, parameters.bias, dtype);
      losses = loss.detach().toArray() as number[];
      return loss.add(embedded(c, parameters.table, dtype));
    });
    c.norm2.forEach((want, b) => {
      const size = c.norm2_in[b]! + c.norm2_out[b]!;
      expectClose([got.norm2['table']![b]!], [want], {
        relative: norm2,
        absolute: 10 * cancelling * size,
        what: 'norm2',
      });
    });
    expectClose(got.norm2['bias']!, c.norm2_bias, { relative: norm2, absolute: cancelling, what: 'norm2 of the bias' });
    expectClose(losses, c.loss, { relative: norm2, absolute: norm2, what: 'loss' });
    if (dtype === 'float64')
      expectCertified(
        got.bound,
        c.norm2.map((n, b) => Math.sqrt(n + c.norm2_bias[b]!) * (1 - 1e-11)),
      );
    expectClose(got.sums['table']!, c.sum_grad_E.flat(), { absolute: sum, relative: sum });
    expectClose(got.sums['bias']!, c.sum_grad_bias, { absolute: sum, relative: sum });
    expectClose(hidden.grad!.toTypedArray() as Float64Array, c.dH.flat(), { absolute: sum, relative: sum, what: 'dH' });
  });

  test.each(TIED.map((c) => [c.name, c] as const))('%s: untied, the same rows without the cross term', (_name, c) => {
    const parameters = { input: leaf(rows(c.E, c.dim, dtype)), output: leaf(rows(c.E, c.dim, dtype)) };
    const got = step(parameters, c.offsets, () =>
      head(c, rows(c.h, c.dim, dtype), parameters.output, biasOf(c).detach(), dtype).add(
        embedded(c, parameters.input, dtype),
      ),
    );
    expectClose(got.norm2['input']!, c.norm2_in, { relative: norm2, absolute: cancelling, what: 'in' });
    expectClose(got.norm2['output']!, c.norm2_out, { relative: norm2, absolute: cancelling, what: 'out' });
  });
});
