// Memory of a device is never read by the host: no raw pointers outside one header, and no crash, but ERR_DEVICE, where devices differ.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { ones, tensor, torch, zeros, type Tensor } from '../../../lib/tensor';
import { ints } from './book';

const { phantomgrad: ops } = torch.ops;
const OPS = join(__dirname, '..', '..', '..', 'csrc', 'ops');
const meta = { device: 'meta' };
const at = ints([0, 2, 5]);
const keys = tensor(BigInt64Array.of(7n, 9n));
const leaf = (shape: number[]): Tensor => zeros(shape, { ...meta, requiresGrad: true });

test('only device.h turns a tensor into a pointer, so that every kernel call passes its check of the device', () => {
  const files = readdirSync(OPS).filter((name) => /\.(cc|h)$/.test(name));
  expect(files).toContain('device.h');
  const raw = files.filter((name) => /\bdata_ptr\b|_data_ptr\b/.test(readFileSync(join(OPS, name), 'utf8')));
  expect(raw).toEqual(['device.h']);
});

test("the any-device twins ask for no pointer at all, not even the host's", () => {
  const twins = readdirSync(OPS).filter((name) => /^any.*\.(cc|h)$/.test(name));
  expect(twins.length).toBeGreaterThan(5);
  const asking = twins.filter((name) => /host_data|host_writable/.test(readFileSync(join(OPS, name), 'utf8')));
  expect(asking).toEqual([]);
});

// A tensor on meta has a shape and no memory: whoever reads or writes it through a pointer ends the process.
const CALLS: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  linear: (x) => ops.linear(x, leaf([3, 4]), leaf([3])),
  'linear, transposed': (x) => ops.linear(x, leaf([4, 3]), null, { transposed: true }),
  affine: (x) => ops.affine(x, leaf([4]), leaf([4])),
  'affine with a scalar': (x) => ops.affine(x, leaf([])),
  embedding: (x) => x.add(ops.embedding(tensor(BigInt64Array.of(0n, 1n, 2n, 1n, 0n)), leaf([3, 4]), 0, 2)),
  'layer norm': (x) => ops.layer_norm(x, leaf([4]), leaf([4])),
  'softmax head': (x) =>
    ops.softmax_cross_entropy_head(x, leaf([6, 4]), tensor(BigInt64Array.of(1n, 2n, 3n, 4n, 5n)), null, leaf([6]), {
      scale: 2,
      label_smoothing: 0.1,
      padding_id: 0,
      mean: true,
    }),
  'candidate scores': (x) => ops.candidate_scores(x, leaf([6, 4]), zeros([5, 3], { dtype: 'int64' }), leaf([6])),
  convolution: (x) => ops.convolution(x.view([5, 2, 2]), leaf([3, 2, 1]), leaf([3]), [1], [0], [1]),
  'convolution in groups': (x) => ops.convolution(x.view([5, 2, 2]), leaf([4, 1, 1]), null, [1], [0], [1], 2),
  dropout: (x) => ops.dropout(x, 0.5, { seed: 1, step: 2, site: 3, cu_seqlens: at, sample_keys: keys }),
  'per sample': (x) =>
    ops
      .per_sample(leaf([4]), 2)
      .sum([0])
      .mul(x),
  'declared use': (x) => ops.declare_use(x.matmul(zeros([4, 3], meta)), leaf([3, 4]), { right: x }),
  attention: (x) => ops.attention(x, x, x, at, { heads: 2, dropout: 0.5, sample_keys: keys }),
  're-attention': (x) =>
    ops.re_attention(x, x, x, zeros([5, 2], meta), at, {
      value_variance: zeros([5, 2], meta),
      heads: 2,
      correction: 'secondOrder',
    })[0],
  'linear variance': (x) =>
    ops.linear_variance(x, zeros([5], meta), zeros([6, 4], meta), { weight_variance: 0.1, groups: 2 }),
  'layer norm variance': (x) => ops.layer_norm_variance(x, zeros([5], meta), zeros([4], meta)),
  'relu variance': (x) => ops.activation_variance(x, zeros([5], meta), 'relu'),
};

test.each(Object.entries(CALLS))(
  '%s gives a tensor or an error with a code where there is no memory',
  (_name, call) => {
    ops.set_segments(at);
    try {
      const x = leaf([5, 4]);
      const y = call(x);
      expect(y.device).toBe('meta');
      if (y.requiresGrad) y.sum().backward();
    } catch (error) {
      // Many of LibTorch's operators have no rule for meta outside Python.
      expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_(TORCH|DEVICE)$/) });
    } finally {
      ops.set_segments(null);
    }
  },
);

test('what LibTorch knows on meta does run there', () => {
  const y = CALLS['linear']!(leaf([5, 4]));
  expect([y.device, y.shape]).toEqual(['meta', [5, 3]]);
});

test.each([
  ['linear', () => ops.linear(ones([5, 4]), leaf([3, 4]))],
  ['layer norm', () => ops.layer_norm(zeros([5, 4], meta), ones([4]))],
  ['softmax head', () => ops.softmax_cross_entropy_head(ones([1, 4]), leaf([6, 4]), zeros([1], { dtype: 'int64' }))],
  ['attention', () => ops.attention(ones([5, 4]), zeros([5, 4], meta), ones([5, 4]), at)],
  ['linear variance', () => ops.linear_variance(ones([5, 4]), ones([5]), leaf([6, 4]), { weight_variance: 1 })],
  ['book', () => ops.book_attach([leaf([3])], ['weight'])],
  ['books of two devices', () => ops.book_attach([ones([3], { requiresGrad: true }), leaf([3])], ['a', 'b'])],
  ['norms', () => ops.ghost_norm(zeros([5, 4], meta), ones([5, 3]), at)],
  ['sums', () => ops.clipped_sum(ones([5, 4]), zeros([5, 3], meta), ones([2]), at)],
  ['noise', () => ops.privatise_(zeros([4], { ...meta, dtype: 'float64' }), 0, 0, 0, 1)],
  ['twins', () => ops.reference_linear(zeros([5, 4], meta), ones([3, 4]), null, ones([5, 3]), at)],
])('%s on the wrong device is refused with ERR_DEVICE', (_name, call) => {
  expect(call).toThrow(expect.objectContaining({ code: 'ERR_DEVICE' }));
});

test('integers may stay on the CPU, and are checked there', () => {
  const ids = tensor(BigInt64Array.of(0n, 5n));
  expect(() => ops.embedding(ids, leaf([3, 4]))).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});
