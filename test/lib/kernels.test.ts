// The low-level door: the reference vectors through it, and a private step composed by hand.

import { kernels } from '../../lib';
import { ghostNorm, type TiedTable } from '../../lib/kernels';
import { adam } from '../../lib/optim';
import { fromTypedArray, memory, ones, type Tensor, tensor, zeros } from '../../lib/tensor';
import { ints, sampleSums, step } from '../csrc/ops/book';
import { expectCertified, expectClose, expectNear, norm } from '../csrc/ops/numbers';
import { CANCELLATION, EMBEDDING, LINEAR, TIED, type TiedCase } from '../csrc/ops/norm_cases';
import { Random } from '../csrc/ops/random';
import { rows } from '../csrc/ops/vectors';
import { torch } from '../../lib/tensor';

const numbers = (t: Tensor): Float64Array => t.to('float64').toTypedArray() as Float64Array;
const refuses = (action: () => unknown, code: string): void =>
  expect(action).toThrow(expect.objectContaining({ code }));

test.each(LINEAR.map((c) => [c.name, c] as const))('%s: ghostNorm and clippedSum', (_name, c) => {
  const [a, g] = [rows(c.a, c.d_in), rows(c.g, c.d_out)];
  const squares = (options: object): number[] =>
    [...numbers(ghostNorm(a, g, { segments: c.offsets, ...options }).norm)].map((n) => n * n);
  expectClose(squares({}), c.norm2_weight, { relative: 1e-11, absolute: 1e-11 });
  expectClose(squares({ bias: true }), c.norm2, { relative: 1e-11, absolute: 1e-11 });
  expectCertified(
    numbers(ghostNorm(a, g, { segments: c.offsets, bias: true }).bound),
    c.norm2.map((n) => Math.sqrt(n) * (1 - 1e-12)),
  );
  const biasOut = zeros([c.d_out], { dtype: 'float64' });
  const sum = kernels.clippedSum(
    a,
    g,
    c.norm2.map(() => 1),
    { segments: c.offsets, biasOut },
  );
  expectClose(numbers(sum), c.sum_grad_weight.flat(), { absolute: 1e-11 });
  expectClose(numbers(biasOut), c.sum_grad_bias, { absolute: 1e-11 });
});

// The inputs are exact in bfloat16: the truth is the same in both types.
test.each(CANCELLATION.flatMap((c) => (['float32', 'bfloat16'] as const).map((dtype) => [c.name, dtype, c] as const)))(
  '%s: the bound holds for what clippedSum adds, with inputs in %s',
  (_name, dtype, c) => {
    const [a, g] = [rows(c.a, c.d_in, 'float32').to(dtype), rows(c.g, c.d_out, 'float32').to(dtype)];
    const bound = numbers(ghostNorm(a, g, { segments: [0, c.rows] }).bound);
    expectCertified(bound, [c.norm]);
    const added = norm(numbers(kernels.clippedSum(a, g, [1], { segments: [0, c.rows] })));
    expect(added).toBeLessThanOrEqual(bound[0]!);
    expectClose([added], [c.norm], { relative: 1e-9 });
  },
);

test.each(EMBEDDING.map((c) => [c.name, c] as const))('%s: embeddingNorm and embeddingSum', (_name, c) => {
  const options = { vocabulary: c.vocab, scale: c.scale, paddingId: c.padding_id ?? -1, segments: c.offsets };
  const u = rows(c.u, c.dim);
  expectClose(
    [...numbers(kernels.embeddingNorm(ints(c.ids), u, options).norm)].map((n) => n * n),
    c.norm2,
    { relative: 1e-11 },
  );
  expectClose(
    numbers(
      kernels.embeddingSum(
        ints(c.ids),
        u,
        c.norm2.map(() => 1),
        options,
      ),
    ),
    c.sum_grad.flat(),
    { absolute: 1e-11 },
  );
});

function tiedTable(c: TiedCase, dtype: 'float64' | 'float32'): TiedTable {
  return {
    ids: ints(c.ids),
    inputGradients: rows(c.u, c.dim, dtype),
    hidden: rows(c.h, c.dim, dtype),
    targets: ints(c.targets),
    table: rows(c.E, c.dim, dtype),
    segments: c.offsets,
    weights: tensor(c.weights, { dtype }),
    inputScale: c.alpha,
    scale: c.tau,
    labelSmoothing: c.label_smoothing,
    mean: c.mean_over_weights,
    ...(c.padding_id === null ? {} : { paddingId: c.padding_id, headPaddingId: c.padding_id }),
    ...(c.candidates === null ? {} : { candidates: ints(c.candidates) }),
    ...(c.out_bias === null ? {} : { bias: tensor(c.out_bias, { dtype }) }),
  };
}

test.each(TIED.map((c) => [c.name, c] as const))('%s: phantomNorm and phantomSum', (_name, c) => {
  for (const [dtype, tolerance] of [
    ['float64', 1e-11],
    ['float32', 2e-5],
  ] as const) {
    const own = tiedTable(c, dtype);
    const got = kernels.phantomNorm({ ...own, lse: tensor(c.lse, { dtype }) });
    c.norm2.forEach((want, b) => {
      const size = c.norm2_in[b]! + c.norm2_out[b]!;
      expectClose([numbers(got.in)[b]!], [c.norm2_in[b]!], { relative: tolerance, what: 'in' });
      expectClose([numbers(got.out)[b]!], [c.norm2_out[b]!], { relative: tolerance, absolute: 1e-12, what: 'out' });
      expectClose([numbers(got.cross)[b]!], [c.cross[b]!], { absolute: tolerance * size, what: 'cross' });
      expectClose([numbers(got.norm)[b]! ** 2], [want], {
        relative: tolerance,
        absolute: tolerance * size,
        what: 'norm²',
      });
    });
    if (dtype === 'float64')
      expectCertified(
        numbers(got.bound),
        c.norm2.map((n) => Math.sqrt(n) * (1 - 1e-11)),
      );
    expectClose(
      numbers(
        kernels.phantomSum(
          own,
          c.norm2.map(() => 1),
        ),
      ),
      c.sum_grad_E.flat(),
      { absolute: tolerance, relative: tolerance },
    );
  }
});

test('a step composed by hand clips to what the gradient book clips to', () => {
  const random = new Random(1);
  const [M, d, at] = [40, 8, [0, 6, 6, 7, 30]] as const;
  const N = 30;
  const make = (n: number): Float64Array => random.normals(n);
  const [E, h, u] = [
    tensor(make(M * d), { dtype: 'float32', shape: [M, d], requiresGrad: true }),
    tensor(make(N * d), { dtype: 'float32', shape: [N, d] }),
    tensor(make(N * d), { dtype: 'float32', shape: [N, d] }),
  ];
  const ids = ints(Array.from({ length: N }, () => random.below(5)));
  const targets = ints(Array.from({ length: N }, () => random.below(M)));
  const factors = [0.5, 1, 0.25, 2];
  const ops = torch.ops.phantomgrad;
  const book = step(
    { E },
    [...at],
    () =>
      ops
        .softmax_cross_entropy_head(h, E, targets, null, null, { scale: 0.5 })
        .add(sampleSums(ops.embedding(ids, E, { scale: 2 }).mul(u).sum([1]), at)),
    factors,
  );
  const own: TiedTable = {
    ids,
    inputGradients: u,
    hidden: h,
    targets,
    table: E,
    segments: [...at],
    scale: 0.5,
    inputScale: 2,
  };
  expectClose(numbers(kernels.phantomNorm(own).norm), book.norm, { relative: 1e-6 });
  const out = zeros([M, d], { dtype: 'float32' });
  expect(kernels.phantomSum(own, tensor(factors), { out })).toBe(out);
  expectNear(numbers(out), book.sums['E']!, 1e-5);
});

test('norms and sums over all uses of a matrix are those of its summed per-sample gradients', () => {
  const random = (n: number, start: number): Float64Array =>
    Float64Array.from({ length: n }, (_, i) => Math.sin(start + 1.7 * i * i));
  const rows = (values: Float64Array, width: number): Tensor => fromTypedArray(values, [values.length / width, width]);
  const [p, d, at] = [4, 3, [0, 2, 2, 5]];
  const [l, r, u, s] = [random(5 * p, 1), random(5 * d, 2), random(5 * d, 3), random(3 * p * d, 4)];
  const ids = [0, 3, 3, 1, 0];
  const uses: kernels.KernelUse[] = [
    { left: rows(l, p), right: rows(r, d), segments: at },
    { ids: ints(ids), rows: rows(u, d), scale: 2, paddingId: 1, segments: at },
    { perSample: rows(s, p * d) },
  ];
  const gradients = [0, 1, 2].map((b) => {
    const own = s.slice(b * p * d, (b + 1) * p * d);
    for (let t = at[b]!; t < at[b + 1]!; t++) {
      for (let j = 0; j < d; j++) {
        for (let i = 0; i < p; i++) own[i * d + j]! += l[t * p + i]! * r[t * d + j]!;
        if (ids[t] !== 1) own[ids[t]! * d + j]! += 2 * u[t * d + j]!;
      }
    }
    return own;
  });
  const { norm, bound } = kernels.usesNorm([p, d], uses);
  gradients.forEach((own, b) => {
    const exact = Math.hypot(...own);
    expect(Math.abs(numbers(norm)[b]! / exact - 1)).toBeLessThan(1e-12);
    expect(numbers(bound)[b]!).toBeGreaterThanOrEqual(exact * (1 - 1e-15));
  });
  const sum = numbers(kernels.usesSum([p, d], uses, [1, -2, 0.5]));
  sum.forEach((x, i) =>
    expect(Math.abs(x - (gradients[0]![i]! - 2 * gradients[1]![i]! + 0.5 * gradients[2]![i]!))).toBeLessThan(1e-12),
  );
  refuses(() => kernels.usesNorm([p, d], []), 'ERR_INVALID_ARGUMENT');
  refuses(() => kernels.usesNorm([p, d + 1], uses), 'ERR_INVALID_ARGUMENT');
  refuses(() => kernels.usesNorm([p, d], [uses[0]!, { ...uses[0]!, segments: [0, 5] }]), 'ERR_BATCH_DIMENSION');
  refuses(() => kernels.usesNorm([3, d], [uses[1]!]), 'ERR_INVALID_ARGUMENT');
});

test('without segments the first dimension is the batch', () => {
  const random = new Random(2);
  const [a, g] = [fromTypedArray(random.normals(24), [2, 4, 3]), fromTypedArray(random.normals(16), [2, 4, 2])];
  const packed = ghostNorm(a.view([8, 3]), g.view([8, 2]), { segments: [0, 4, 8] });
  expect(numbers(ghostNorm(a, g).norm)).toEqual(numbers(packed.norm));
  refuses(() => ghostNorm(a.view([24]), g), 'ERR_BATCH_DIMENSION');
});

test('rows of a sample with factor 0 are never read, and a factor that is not finite is 0', () => {
  const a = tensor(
    [
      [NaN, 1],
      [1, 2],
      [3, 4],
    ],
    { dtype: 'float64' },
  );
  const g = tensor([[1], [Infinity], [2]], { dtype: 'float64' });
  const { norm: norms } = ghostNorm(a, g, { segments: [0, 1, 2, 3] });
  expect([...numbers(norms)].map(Number.isFinite)).toEqual([false, false, true]);
  expect([...numbers(kernels.clippedSum(a, g, [0, NaN, 0.5], { segments: [0, 1, 2, 3] }))]).toEqual([3, 4]);
});

test('privateNoise releases the mean on the grid and consumes the sum; privateUpdate is the same release inside Adam', () => {
  const noise = new kernels.NoiseSource(7);
  const settings = { noiseMultiplier: 2, maxGradNorm: 0.5, expectedBatchSize: 4, noise };
  const sum = fromTypedArray(new Random(3).normals(1000), [1000]);
  const clean = numbers(sum).slice();
  const released = numbers(kernels.privateNoise(sum, settings));
  expect(norm(numbers(sum))).toBe(0);
  // σC = 1: the grid is 2^-8, after division by 4 2^-10.
  released.forEach((x) => expect(Number.isInteger(x * 2 ** 10)).toBe(true));
  const spread = Math.sqrt(released.reduce((s, x, i) => s + (4 * x - clean[i]!) ** 2, 0) / 1000);
  expect(spread).toBeGreaterThan(0.85);
  expect(spread).toBeLessThan(1.15);

  const parameters = zeros([1000]);
  const same = new kernels.NoiseSource(7);
  const notFinite = kernels.privateUpdate(
    { parameters, sum: fromTypedArray(clean, [1000]) },
    { ...settings, noise: same, optimizer: adam([ones([1])], { lr: 0.1 }) },
  );
  expect(notFinite).toBe(0);
  // The first step of Adam is the sign of the released gradient.
  const moved = numbers(parameters);
  released.forEach((x, i) => expect(Math.abs(moved[i]! + 0.1 * Math.sign(x))).toBeLessThan(3e-6)); // eps beside the smallest step of the grid
  noise.close();
  same.close();
});

test('privateNoise and privateUpdate divide by the scale of each run of a profile, and steps stretch the update', () => {
  const profile = {
    ends: fromTypedArray(BigInt64Array.of(300n, 1000n), [2]),
    scales: fromTypedArray(Float64Array.of(0.5, 2), [2]),
    steps: fromTypedArray(Float64Array.of(0, 3), [2]),
  };
  const settings = { noiseMultiplier: 2, maxGradNorm: 0.5, expectedBatchSize: 4 };
  const sum = new Random(3).normals(1000);
  const released = [null, profile].map((own) => {
    const noise = new kernels.NoiseSource(7);
    const out = numbers(kernels.privateNoise(fromTypedArray(sum, [1000]), { ...settings, noise, profile: own }));
    noise.close();
    return out;
  });
  released[1]!.forEach((x, i) => expect(x).toBe(released[0]![i]! / (i < 300 ? 0.5 : 2)));
  const noise = new kernels.NoiseSource(7);
  const parameters = zeros([1000]);
  kernels.privateUpdate(
    { parameters, sum: fromTypedArray(sum, [1000]) },
    { ...settings, noise, profile, optimizer: adam([ones([1])], { lr: 0.1 }) },
  );
  noise.close();
  const moved = numbers(parameters);
  released[1]!.forEach((x, i) => expect(Math.abs(moved[i]! + (i < 300 ? 0 : 0.3) * Math.sign(x))).toBeLessThan(3e-5));
});

test('wrong arguments are refused by code, and nothing is left behind', () => {
  const c = TIED[0]!;
  const own = tiedTable(c, 'float64');
  const a = ones([4, 3]);
  const lse = zeros([c.lse.length]);
  const before = memory().tensors;
  refuses(() => kernels.phantomNorm({ ...own, lse }), 'ERR_INVALID_ARGUMENT');
  expect(memory().tensors).toBe(before);
  refuses(() => kernels.phantomNorm({ ...own, segments: [0, 1] }), 'ERR_BATCH_DIMENSION');
  refuses(() => kernels.phantomNorm({ ...own, inputGradients: a }), 'ERR_INVALID_ARGUMENT');
  refuses(() => ghostNorm(a, ones([5, 2]), { segments: [0, 4] }), 'ERR_BATCH_DIMENSION');
  refuses(() => ghostNorm(a, ones([4, 2], { dtype: 'float64' }), { segments: [0, 4] }), 'ERR_INVALID_ARGUMENT');
  refuses(() => ghostNorm(a, ones([4, 2], { dtype: 'int64' }), { segments: [0, 4] }), 'ERR_INVALID_ARGUMENT');
  refuses(() => kernels.clippedSum(a, ones([4, 2]), [1, 1], { segments: [0, 4] }), 'ERR_INVALID_ARGUMENT');
  refuses(
    () => kernels.clippedSum(a, ones([4, 2]), [1], { segments: [0, 4], out: zeros([3, 2]) }),
    'ERR_INVALID_ARGUMENT',
  );
  refuses(
    () => kernels.embeddingNorm(ints([0, 9, 1, 2]), a, { vocabulary: 9, segments: [0, 4] }),
    'ERR_INVALID_ARGUMENT',
  );
  const noise = new kernels.NoiseSource(1);
  const bad = { noiseMultiplier: 1, maxGradNorm: 1, expectedBatchSize: 8, noise };
  for (const wrong of [{ noiseMultiplier: -1 }, { maxGradNorm: 0 }, { expectedBatchSize: 0 }, { noiseMultiplier: NaN }])
    refuses(() => kernels.privateNoise(zeros([3], { dtype: 'float64' }), { ...bad, ...wrong }), 'ERR_INVALID_ARGUMENT');
  noise.close();
});

test('reAttention without noise is plain attention, with noise it turns from the noisy key', () => {
  const random = new Random(9);
  const [q, k, v] = [0, 1, 2].map(() => tensor(random.normals(5 * 4), { shape: [5, 4], requiresGrad: true })) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const segments = [0, 3, 5];
  const plain = torch.ops.phantomgrad.attention(q, k, v, ints(segments), { heads: 2 });
  const quiet = kernels.reAttention(q, k, v, { keyVariance: zeros([5, 2], { dtype: 'float64' }), heads: 2, segments });
  expect(numbers(quiet.output)).toEqual(numbers(plain));
  expect([...numbers(quiet.outputVariance)]).toEqual(Array.from({ length: 10 }, () => 0));
  const noisy = ones([5, 2], { dtype: 'float64' });
  noisy.select(0, 0).fill_(50);
  const turned = kernels.reAttention(q, k, v, { keyVariance: noisy, valueVariance: noisy, heads: 2, segments });
  expect(numbers(turned.output)).not.toEqual(numbers(plain));
  // The second row of the first sample sees a noisy key and its own: nearly all weight, hence nearly its variance, is its own.
  expect(
    numbers(turned.outputVariance)
      .subarray(2, 4)
      .every((x) => x < 25),
  ).toBe(true);
  turned.output.sum().backward();
  expect(q.grad).not.toBeNull();
  refuses(() => kernels.reAttention(q, k, v, { keyVariance: noisy, heads: 3, segments }), 'ERR_INVALID_ARGUMENT');
  const shaped = [q, k, v].map((t) => t.detach().view([1, 5, 4])) as [Tensor, Tensor, Tensor];
  expect(kernels.reAttention(...shaped, { keyVariance: noisy, heads: 2 }).output.shape).toEqual([1, 5, 4]);
});
