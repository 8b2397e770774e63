// Self-attention on packed rows: every sample by itself, the past only, however samples are packed.

import { Initializer, Segments, SelfAttention, TransformerBlock, withSegments } from '../../../lib/nn';
import { noGrad, type Tensor, torch } from '../../../lib/tensor';
import { apart, ragged, sampler } from './support';

const draw = sampler(3);
const options = () => ({ init: new Initializer(5), dtype: 'float64' as const, std: 0.5 });
const rows = (x: Tensor, first: number, count: number): Tensor => x.narrow(0, first, count).contiguous();

// From the definition, one sample and one head at a time.
function plainAttention(layer: SelfAttention, x: Tensor): Tensor {
  const width = layer.dim / layer.heads;
  const [q, k, v] = layer.qkv.forward(x).split(layer.dim, -1) as [Tensor, Tensor, Tensor];
  const length = x.shape[0] as number;
  const hidden = torch
    .ones([length, length], { dtype: 'float64' })
    .triu(1)
    .mul(layer.causal ? -1e300 : 0);
  const heads = Array.from({ length: layer.heads }, (_, h) => {
    const part = (t: Tensor): Tensor => t.narrow(1, h * width, width);
    return part(q).matmul(part(k).t()).div(Math.sqrt(width)).add(hidden).softmax(-1).matmul(part(v));
  });
  return layer.out.forward(torch.ops.aten.cat(heads, 1));
}

test.each([
  [1, true],
  [2, true],
  [4, false],
])('with %d heads, causal %p, every sample gets what the definition gives it alone', (heads, causal) => {
  const layer = new SelfAttention(8, { ...options(), heads, causal });
  const lengths = [4, 1, 0, 7, 2];
  const x = draw(14, 8);
  using segments = ragged(lengths);
  const packed = withSegments(segments, () => layer.forward(x)).detach();
  let first = 0;
  for (const length of lengths) {
    if (length > 0)
      expect(apart(rows(packed, first, length), plainAttention(layer, rows(x, first, length)).detach())).toBeLessThan(
        1e-12,
      );
    first += length;
  }
});

test('the gradients of weights and input are those of the definition', () => {
  const layer = new SelfAttention(6, { ...options(), heads: 2 });
  const x = draw(5, 6).requiresGrad_();
  const leaves = [x, ...layer.parameters()];
  const direction = draw(5, 6);
  const gradients = (body: () => Tensor): Tensor[] => {
    for (const leaf of leaves) leaf.grad = null;
    body().backward(direction);
    return leaves.map((leaf) => leaf.grad!.clone());
  };
  using segments = ragged([5]);
  const ours = gradients(() => withSegments(segments, () => layer.forward(x)));
  gradients(() => plainAttention(layer, x)).forEach((gradient, i) =>
    expect(apart(ours[i]!, gradient)).toBeLessThan(1e-11),
  );
});

test('a causal block does not let the future or another sample into a row', () => {
  const block = new TransformerBlock({ ...options(), dim: 8, heads: 2 });
  const x = draw(9, 8);
  const changed = x.clone();
  noGrad(() => changed.select(0, 3).fill_(100));
  using segments = ragged([5, 4]);
  const [before, after] = [x, changed].map((input) => withSegments(segments, () => block.forward(input)).detach()) as [
    Tensor,
    Tensor,
  ];
  expect(apart(rows(before, 0, 3), rows(after, 0, 3))).toBe(0);
  expect(apart(rows(before, 5, 4), rows(after, 5, 4))).toBe(0);
  expect(apart(rows(before, 3, 2), rows(after, 3, 2))).toBeGreaterThan(0.1);
});

test('[B, T, dim] without a scope equals packed rows of equal segments', () => {
  const block = new TransformerBlock({ ...options(), dim: 8, heads: 2, norm: 'pre', activation: 'gelu' });
  const x = draw(3, 4, 8);
  using segments = Segments.equal(3, 4);
  const packed = withSegments(segments, () => block.forward(x.view([12, 8])));
  expect(apart(block.forward(x).view([12, 8]).detach(), packed.detach())).toBeLessThan(1e-12);
});

test('a block is what its name says: norm after the residual, or before', () => {
  const x = draw(4, 8);
  for (const norm of ['post', 'pre'] as const) {
    const block = new TransformerBlock({ ...options(), dim: 8, ffnDim: 12, norm });
    const feed = (t: Tensor): Tensor => block.ffnOut.forward(block.ffnIn.forward(t).relu());
    using segments = ragged([4]);
    const { ours, plain } = withSegments(segments, () => {
      const attend = (t: Tensor): Tensor => block.attention.forward(t);
      const [n1, n2] = [block.attentionNorm, block.ffnNorm];
      const middle = norm === 'post' ? n1.forward(x.add(attend(x))) : x.add(attend(n1.forward(x)));
      const end = norm === 'post' ? n2.forward(middle.add(feed(middle))) : middle.add(feed(n2.forward(middle)));
      return { ours: block.forward(x), plain: end };
    });
    expect(apart(ours.detach(), plain.detach())).toBe(0);
  }
});

test('an empty batch gives no rows, and an empty gradient', () => {
  const block = new TransformerBlock({ ...options(), dim: 8 });
  using segments = ragged([]);
  const out = withSegments(segments, () => block.forward(draw(0, 8)));
  expect(out.shape).toEqual([0, 8]);
  out.sum().backward();
});

test('packed rows without a scope, and rows that are not those of the scope, are refused', () => {
  const layer = new SelfAttention(8, options());
  expect(() => layer.forward(draw(5, 8))).toThrow(expect.objectContaining({ code: 'ERR_BATCH_DIMENSION' }));
  using segments = ragged([2, 2]);
  expect(() => withSegments(segments, () => layer.forward(draw(5, 8)))).toThrow(
    expect.objectContaining({ code: 'ERR_BATCH_DIMENSION' }),
  );
});
