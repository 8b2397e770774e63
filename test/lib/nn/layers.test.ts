// Layers compute what their formulas say, with the gradients of ordinary autograd; in float64, where rounding cannot
// hide.

import {
  Embedding,
  Initializer,
  LayerNorm,
  Linear,
  relu,
  Sequential,
  SoftmaxHead,
  softmaxCrossEntropy,
  withSegments,
} from '../../../lib/nn';
import { type Tensor, tensor, torch } from '../../../lib/tensor';
import { apart, numbers, ragged, sampler } from './support';

const { aten } = torch.ops;
const draw = sampler(1);

/** Largest difference of outputs and of the gradients of `leaves`, for a random direction of the output. */
function compare(ours: () => Tensor, plain: () => Tensor, leaves: readonly Tensor[]): number {
  const gradients = (body: () => Tensor, direction: Tensor): Tensor[] => {
    for (const leaf of leaves) leaf.grad = null;
    body().backward(direction);
    return leaves.map((leaf) => leaf.grad!.clone());
  };
  const [a, b] = [ours(), plain()];
  const direction = draw(...a.shape);
  const [left, right] = [gradients(ours, direction), gradients(plain, direction)];
  return Math.max(apart(a.detach(), b.detach()), ...left.map((gradient, i) => apart(gradient, right[i]!)));
}

const options = () => ({ init: new Initializer(2), dtype: 'float64' as const });

test.each([[[4, 3]], [[2, 5, 3]]])('Linear is x Wᵀ + b on inputs of shape %p', (shape) => {
  const layer = new Linear(3, 7, options());
  torch.noGrad(() => layer.bias!.normal_());
  const x = draw(...shape).requiresGrad_();
  const plain = (): Tensor => aten.linear(x, layer.weight, layer.bias);
  expect(compare(() => layer.forward(x), plain, [x, ...layer.parameters()])).toBeLessThan(1e-12);
});

test('LayerNorm normalises the last dimension', () => {
  const layer = new LayerNorm(6, { dtype: 'float64' });
  torch.noGrad(() => {
    layer.weight.normal_();
    layer.bias!.normal_();
  });
  const x = draw(5, 6).requiresGrad_();
  const plain = (): Tensor => aten.layer_norm(x, [6], layer.weight, layer.bias, layer.eps);
  expect(compare(() => layer.forward(x), plain, [x, ...layer.parameters()])).toBeLessThan(1e-11);
});

test('Embedding gathers rows times scale, and its padding row gets no gradient', () => {
  const layer = new Embedding(6, 4, { ...options(), paddingId: 0, scale: 3 });
  const ids = tensor(
    [
      [1, 0, 5],
      [5, 2, 5],
    ],
    { dtype: 'int64' },
  );
  const plain = (): Tensor => aten.embedding(layer.weight, ids, 0).mul(3);
  expect(compare(() => layer.forward(ids), plain, [layer.weight])).toBeLessThan(1e-12);
  expect(numbers(layer.weight.grad!.select(0, 0).contiguous())).toEqual([0, 0, 0, 0]);
});

test('Embedding refuses an id outside its table', () => {
  const layer = new Embedding(6, 4);
  for (const id of [-1, 6]) {
    expect(() => layer.forward(tensor([id], { dtype: 'int64' }))).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
    );
  }
});

test('Sequential applies modules and functions in order', () => {
  const [a, b] = [new Linear(3, 4, options()), new Linear(4, 2, options())];
  const x = draw(5, 3);
  expect(apart(new Sequential(a, relu, b).forward(x).detach(), b.forward(a.forward(x).relu()).detach())).toBe(0);
});

// One sample at a time, from the definition.
function headLoss(
  hidden: Tensor,
  table: Tensor,
  targets: Tensor,
  weights: Tensor,
  bias: Tensor,
  lengths: number[],
  scale: number,
  smoothing: number,
): Tensor {
  const logits = hidden.mul(scale).matmul(table.t()).add(bias);
  const logp = logits.logSoftmax(-1);
  const picked = logp
    .gather(1, targets.unsqueeze(1))
    .squeeze(1)
    .mul(1 - smoothing);
  const rows = picked
    .add(logp.mean([1]).mul(smoothing))
    .neg()
    .mul(weights);
  return torch.ops.aten.stack(rows.splitWithSizes(lengths).map((part) => part.sum()));
}

test('softmaxCrossEntropy is the weighted cross entropy of each sample, with bias, scale and label smoothing', () => {
  const lengths = [3, 0, 2, 1];
  const hidden = draw(6, 4).requiresGrad_();
  const table = draw(9, 4).requiresGrad_();
  const bias = draw(9).requiresGrad_();
  const targets = tensor([1, 8, 0, 3, 3, 5], { dtype: 'int64' });
  const weights = tensor([1, 0.5, 2, 0, 1, 1], { dtype: 'float64' });
  using segments = ragged(lengths);
  const ours = (): Tensor =>
    withSegments(segments, () =>
      softmaxCrossEntropy(hidden, table, targets, { weights, bias, scale: 0.7, labelSmoothing: 0.1 }),
    );
  const plain = (): Tensor => headLoss(hidden, table, targets, weights, bias, lengths, 0.7, 0.1);
  expect(compare(ours, plain, [hidden, table, bias])).toBeLessThan(1e-11);
});

test('SoftmaxHead scores with the table that its loss trains', () => {
  const head = new SoftmaxHead(4, 9, { ...options(), bias: true });
  torch.noGrad(() => head.bias!.normal_());
  const hidden = draw(3, 4);
  const targets = tensor([2, 0, 8], { dtype: 'int64' });
  const expected = aten.cross_entropy_loss(head.forward(hidden), targets, null, 0);
  expect(apart(head.loss(hidden, targets).detach(), expected.detach())).toBeLessThan(1e-12);
});
