// attention against its plain twin: heads, causal or not, ragged samples, views, dropout with the same mask.

import { fc, test as property } from '@fast-check/jest';
import { fromTypedArray, type Tensor, tensor, torch } from '../../../lib/tensor';
import { ints } from './book';
import { expectNear, norm } from './numbers';
import { Random } from './random';
import { dtype, offsets, seed, SEEDED } from './shapes';

const ops = torch.ops.phantomgrad;
const doubles = (t: Tensor): Float64Array => t.detach().to('float64').toTypedArray() as Float64Array;

property.prop(
  [
    offsets(),
    fc.constantFrom(1, 3, 8, 65),
    fc.constantFrom(1, 2, 3),
    fc.boolean(),
    fc.boolean(),
    fc.constantFrom(0, 0, 0.2, 0.5),
    dtype,
    seed,
  ],
  { ...SEEDED, numRuns: 60 },
)('attention equals its twin, forward and backward', (at, dim, heads, causal, fused, dropout, type, start) => {
  const random = new Random(start);
  const [rows, width] = [at[at.length - 1]!, heads * dim];
  const [q, k, v, g] = Array.from({ length: 4 }, () => random.normals(rows * width)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const options = {
    heads,
    causal,
    ...(dropout === 0
      ? {}
      : {
          dropout,
          seed: random.below(1000),
          step: random.below(1000),
          site: 3,
          sample_keys: ints(at.slice(1).map(() => random.below(100000))),
        }),
  };
  // One projection makes all three: then they are views with another row stride.
  const parts = [q, k, v].map((values) => tensor(values, { dtype: type, shape: [rows, width] }));
  const leaves = (fused ? [torch.ops.aten.cat(parts, 1)] : parts).map((t) => t.requiresGrad_());
  const [query, key, value] = (fused ? leaves[0]!.split(width, 1) : leaves) as [Tensor, Tensor, Tensor];
  const output = ops.attention(query, key, value, ints(at), options);
  output
    .mul(tensor(g, { dtype: type, shape: [rows, width] }))
    .sum()
    .backward();
  const gradients = leaves.map((leaf) => leaf.grad!);
  const [dq, dk, dv] = (fused ? gradients[0]!.split(width, 1).map((t) => t.contiguous()) : gradients) as [
    Tensor,
    Tensor,
    Tensor,
  ];

  const shape = [rows, width];
  const want = ops
    .reference_attention(
      fromTypedArray(q, shape),
      fromTypedArray(k, shape),
      fromTypedArray(v, shape),
      fromTypedArray(g, shape),
      ints(at),
      options,
    )
    .map(doubles) as [Float64Array, Float64Array, Float64Array, Float64Array];
  const precision = type === 'float64' ? 1e-12 : 2e-5;
  [output, dq, dk, dv].forEach((got, i) =>
    expectNear(doubles(got), want[i]!, precision, {
      scale: norm(want[i]!) + norm(g),
      what: ['output', 'd_query', 'd_key', 'd_value'][i]!,
    }),
  );
});

property.prop([offsets(70), seed], { ...SEEDED, numRuns: 30 })(
  'a sample alone has the bits that it has in a batch',
  (at, start) => {
    const random = new Random(start);
    const rows = at[at.length - 1]!;
    const [q, k, v] = Array.from({ length: 3 }, () => tensor(random.normals(rows * 6), { shape: [rows, 6] })) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const together = doubles(ops.attention(q, k, v, ints(at), { heads: 2 }));
    at.slice(1).forEach((end, b) => {
      const [first, count] = [at[b]!, end - at[b]!];
      const [qb, kb, vb] = [q, k, v].map((t) => t.narrow(0, first, count)) as [Tensor, Tensor, Tensor];
      const alone = doubles(ops.attention(qb, kb, vb, ints([0, count]), { heads: 2 }));
      expect([...alone]).toEqual([...together.subarray(first * 6, end * 6)]);
    });
  },
);
