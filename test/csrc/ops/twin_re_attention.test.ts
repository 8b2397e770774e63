// re_attention against the vectors, its plain twin, and the laws that make it a correction.

import { fc, test as property } from '@fast-check/jest';
import { tensor, type Tensor, torch } from '../../../lib/tensor';
import { ints } from './book';
import { expectClose, expectNear, norm } from './numbers';
import { Random } from './random';
import { dtype, offsets, seed, SEEDED } from './shapes';
import { PRECISIONS, rows, vectors } from './vectors';

const ops = torch.ops.phantomgrad;
const doubles = (t: Tensor): Float64Array => t.detach().to('float64').toTypedArray() as Float64Array;

const CORRECTIONS = ['logit', 'paper', 'secondOrder', 'off'] as const;
type Correction = (typeof CORRECTIONS)[number];

interface Result {
  readonly output: number[][];
  readonly output_variance: number[];
  readonly dq: number[][];
  readonly dk: number[][];
  readonly dv: number[][];
}

interface Case {
  readonly name: string;
  readonly causal: boolean;
  readonly scale: number;
  readonly q: number[][];
  readonly k: number[][];
  readonly v: number[][];
  readonly key_variance: number[] | number[][];
  readonly value_variance: number[];
  readonly penalty_max: number | null;
  readonly d_output: number[][];
  readonly results: Readonly<Record<string, Result>>;
}

const { cases } = vectors('reattention.json') as { cases: Case[] };
const NAMES = { off: 'none', logit: 'logit', paper: 'paper', secondOrder: 'second-order' } as const;

for (const { dtype: type } of PRECISIONS)
  test.each(cases.flatMap((one) => CORRECTIONS.map((correction) => ({ ...one, correction }))))(
    `$name with $correction is what the vectors say in ${type}`,
    ({ correction, q, k, v, key_variance, value_variance, d_output, causal, scale, penalty_max, results }) => {
      // The operator has as many queries as keys, one width, and divides logits by its root. The vectors are freer: zeros fill up
      // rows and channels, and the scale goes into q.
      const [count, width] = [k.length, Math.max(q[0]!.length, v[0]!.length)];
      const own = (values: number[][], columns = width): Tensor =>
        rows(
          Array.from({ length: count }, (_, t) => Array.from({ length: columns }, (__, i) => values[t]?.[i] ?? 0)),
          columns,
          type,
        );
      const narrow = (t: Tensor, like: number[][]): Tensor =>
        t.narrow(0, 0, like.length).narrow(1, 0, like[0]!.length).contiguous();
      const factor = scale * Math.sqrt(width);
      const query = own(q).mul(factor).requiresGrad_();
      const [key, value] = [own(k).requiresGrad_(), own(v).requiresGrad_()];
      const columns = (values: number[] | number[][]): number[][] => values.map((x) => (Array.isArray(x) ? x : [x]));
      const keyNoise = own(columns(key_variance), Array.isArray(key_variance[0]) ? width : 1);
      const [output, variance] = ops.re_attention(query, key, value, keyNoise, ints([0, count]), {
        correction,
        causal,
        value_variance: own(columns(value_variance), 1),
        ...(penalty_max === null ? {} : { max_penalty: penalty_max }),
      });
      output.mul(own(d_output)).sum().backward();
      const want = results[NAMES[correction]]!;
      const tolerance = type === 'float64' ? { absolute: 1e-11 } : { absolute: 1e-5, relative: 1e-5 };
      const compare = (what: string, got: Tensor, expected: readonly number[]): void =>
        expectClose(doubles(got), expected, { ...tolerance, what });
      compare('output', narrow(output, d_output), want.output.flat());
      compare('variance', variance.narrow(0, 0, q.length), want.output_variance);
      compare('dq', narrow(query.grad!, q).mul(factor), want.dq.flat());
      compare('dk', narrow(key.grad!, k), want.dk.flat());
      compare('dv', narrow(value.grad!, v), want.dv.flat());
    },
  );

interface Problem {
  readonly at: number[];
  readonly width: number;
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
  readonly g: Float64Array;
  readonly options: Readonly<Record<string, unknown>>;
}

function problem(at: number[], dim: number, heads: number, causal: boolean, dropout: number, random: Random): Problem {
  const [count, width] = [at[at.length - 1]!, heads * dim];
  const draw = (): Float64Array => random.normals(count * width);
  const dropped = {
    dropout,
    seed: random.below(1000),
    step: random.below(1000),
    site: 3,
    sample_keys: ints(at.slice(1).map(() => random.below(100000))),
  };
  const options = { heads, causal, ...(dropout === 0 ? {} : dropped) };
  return { at, width, q: draw(), k: draw(), v: draw(), g: draw(), options };
}

const positive = (values: Float64Array, scale = 1): Float64Array => values.map((x) => Math.fround(scale * x * x));

property.prop(
  [
    offsets(),
    fc.constantFrom(1, 3, 8, 65),
    fc.constantFrom(1, 2, 3),
    fc.boolean(),
    fc.boolean(),
    fc.constantFrom(0, 0, 0.2, 0.5),
    fc.constantFrom(...CORRECTIONS),
    fc.constantFrom(null, 0.5, 20),
    dtype,
    seed,
  ],
  { ...SEEDED, numRuns: 80 },
)(
  're_attention equals its twin, forward and backward',
  (at, dim, heads, causal, diagonal, dropout, correction, max, type, start) => {
    const random = new Random(start);
    const { width, q, k, v, g, options } = problem(at, dim, heads, causal, dropout, random);
    const count = at[at.length - 1]!;
    const columns = diagonal ? width : heads;
    const tensors = (type: 'float32' | 'float64'): Tensor[] => [
      ...[q, k, v].map((values) => tensor(values, { dtype: type, shape: [count, width], requiresGrad: true })),
      tensor(positive(ofKeys), { dtype: type, shape: [count, columns] }),
      tensor(positive(ofValues), { dtype: type, shape: [count, heads] }),
      tensor(g, { dtype: type, shape: [count, width] }),
    ];
    const [ofKeys, ofValues] = [random.normals(count * columns), random.normals(count * heads)];
    const all = { ...options, correction, ...(max === null ? {} : { max_penalty: max }) };
    const [query, key, value, keyVariance, valueVariance, gradient] = tensors(type) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const [output, variance] = ops.re_attention(query, key, value, keyVariance, ints(at), {
      ...all,
      value_variance: valueVariance,
    });
    output.mul(gradient).sum().backward();
    const [q2, k2, v2, kv2, vv2, g2] = tensors('float64') as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
    const want = ops
      .reference_re_attention(q2, k2, v2, kv2, g2, ints(at), { ...all, value_variance: vv2 })
      .map(doubles);
    const precision = type === 'float64' ? 1e-12 : 5e-5;
    [output, query.grad!, key.grad!, value.grad!, variance].forEach((got, i) =>
      expectNear(doubles(got), want[i]!, precision, {
        scale: norm(want[i]!) + norm(g),
        what: ['output', 'd_query', 'd_key', 'd_value', 'variance'][i]!,
      }),
    );
  },
);

const attend = (
  { at, width, q, k, v, options }: Problem,
  type: 'float32' | 'float64',
  call: (q: Tensor, k: Tensor, v: Tensor, cu: Tensor, options: object) => Tensor,
  g: Float64Array,
): Float64Array[] => {
  const shape = [at[at.length - 1]!, width];
  const leaves = [q, k, v].map((values) => tensor(values, { dtype: type, shape, requiresGrad: true }));
  const output = call(...(leaves as [Tensor, Tensor, Tensor]), ints(at), options);
  output
    .mul(tensor(g, { dtype: type, shape }))
    .sum()
    .backward();
  return [output, ...leaves.map((leaf) => leaf.grad!)].map(doubles);
};

property.prop(
  [
    offsets(70),
    fc.constantFrom(1, 8),
    fc.constantFrom(1, 2),
    fc.boolean(),
    fc.constantFrom(0, 0.3),
    fc.constantFrom(...CORRECTIONS),
    dtype,
    seed,
  ],
  { ...SEEDED, numRuns: 50 },
)(
  'without noise, or switched off, it has the bits of plain attention',
  (at, dim, heads, causal, dropout, correction, type, start) => {
    const random = new Random(start);
    const one = problem(at, dim, heads, causal, dropout, random);
    const noise = correction === 'off' ? positive(random.normals(at[at.length - 1]! * heads)) : null;
    const plain = attend(one, type, (q, k, v, cu, options) => ops.attention(q, k, v, cu, options), one.g);
    const corrected = attend(
      one,
      type,
      (q, k, v, cu, options) => {
        const shape = [q.shape[0]!, heads];
        const variance = noise === null ? torch.zeros(shape, { dtype: type }) : tensor(noise, { dtype: type, shape });
        return ops.re_attention(q, k, v, variance, cu, { ...options, correction })[0];
      },
      one.g,
    );
    expect(corrected.map((values) => [...values])).toEqual(plain.map((values) => [...values]));
  },
);

/** Weights of the last query over `keyVariances.length` keys: values are unit vectors, so that the output is the weights. */
function weightsOf(
  correction: Correction,
  logits: readonly number[],
  keyVariances: readonly number[],
  q = 1,
): number[] {
  const [n, root] = [logits.length, Math.sqrt(logits.length)];
  // Only the first channel of query and key counts; √n undoes the operator's scale, so that z = logits and p = q² v / 2.
  const query = Float64Array.from({ length: n * n }, (_, i) => (i % n === 0 ? q * root : 0));
  const key = Float64Array.from({ length: n * n }, (_, i) => (i % n === 0 ? logits[i / n]! / q : 0));
  const value = Float64Array.from({ length: n * n }, (_, i) => (i % n === Math.floor(i / n) ? 1 : 0));
  const own = (values: Float64Array): Tensor => tensor(values, { shape: [n, n] });
  const noise = tensor(Float64Array.from(keyVariances), { shape: [n, 1] });
  const [output] = ops.re_attention(own(query), own(key), own(value), noise, ints([0, n]), {
    correction,
    causal: false,
  });
  return [...doubles(output).subarray(0, n)];
}

const row = fc.array(
  fc.tuple(fc.double({ min: -3, max: 3, noNaN: true }), fc.double({ min: 0, max: 2, noNaN: true })),
  {
    minLength: 2,
    maxLength: 9,
  },
);

property.prop([row, fc.double({ min: 0, max: 20, noNaN: true })], SEEDED)(
  'equal noise in all keys changes nothing with logit',
  (pairs, v) => {
    const logits = pairs.map(([z]) => z);
    const [plain, same] = [0, v].map((value) =>
      weightsOf(
        'logit',
        logits,
        logits.map(() => value),
      ),
    );
    expectClose(same!, plain!, { absolute: 1e-13 });
  },
);

property.prop([row, fc.nat(), fc.double({ min: 0.01, max: 5, noNaN: true })], SEEDED)(
  'more noise in a key takes weight from it and gives it to all others, with logit',
  (pairs, at, more) => {
    const [logits, noise] = [pairs.map(([z]) => z), pairs.map(([, v]) => v)];
    const chosen = at % logits.length;
    const before = weightsOf('logit', logits, noise);
    const after = weightsOf(
      'logit',
      logits,
      noise.map((v, i) => (i === chosen ? v + more : v)),
    );
    after.forEach((weight, i) => expect(Math.sign(weight - before[i]!)).toBe(i === chosen ? -1 : 1));
    expect(
      weightsOf(
        'paper',
        logits,
        noise.map((v, i) => (i === chosen ? v + more : v)),
      )[chosen]!,
    ).toBeLessThan(weightsOf('paper', logits, noise)[chosen]!);
  },
);

test('weights sum to one with logit and secondOrder, and to less with paper', () => {
  const [logits, noise] = [
    [0.3, -1, 2],
    [1, 0.5, 2],
  ];
  const total = (correction: Correction): number => weightsOf(correction, logits, noise).reduce((a, b) => a + b);
  expect(total('logit')).toBeCloseTo(1, 12);
  expect(total('secondOrder')).toBeCloseTo(1, 12);
  expect(total('paper')).toBeLessThan(0.9);
});

test('numerators are unbiased: exp(z - v/2) over noisy keys has the mean exp of the clean logit', () => {
  const random = new Random(11);
  const [draws, dim] = [80_000, 4];
  const q = [0.9, -0.4, 0.7, 0.2];
  const mean = [0.5, 0.1, -0.3, 0.8];
  for (const variance of [0.05, 0.5, 1.5]) {
    // e^(z - p) relative to e^(z0): of the softmax over the noisy key and one clean key at logit 0 with no noise, the odds.
    const keys = new Float64Array(2 * dim * draws);
    for (let t = 0; t < draws; t++)
      for (let i = 0; i < dim; i++) keys[(2 * t + 1) * dim + i] = mean[i]! + Math.sqrt(variance) * random.normal();
    const count = 2 * draws;
    const noise = Float64Array.from({ length: count }, (_, r) => (r % 2) * variance);
    const value = Float64Array.from({ length: count * dim }, (_, i) => (i % (2 * dim) === dim ? 1 : 0));
    const query = Float64Array.from({ length: count * dim }, (_, i) => q[i % dim]!);
    const own = (values: Float64Array, width: number): Tensor => tensor(values, { shape: [count, width] });
    const at = Array.from({ length: draws + 1 }, (_, b) => 2 * b);
    const [output] = ops.re_attention(own(query, dim), own(keys, dim), own(value, dim), own(noise, 1), ints(at), {
      causal: false,
    });
    const weights = doubles(output);
    const logit = q.reduce((sum, x, i) => sum + x * mean[i]!, 0) / Math.sqrt(dim);
    let [sum, squares] = [0, 0];
    for (let t = 0; t < draws; t++) {
      const w = weights[2 * t * dim]!;
      const odds = w / (1 - w);
      sum += odds;
      squares += odds * odds;
    }
    const average = sum / draws;
    const error = Math.sqrt((squares / draws - average * average) / draws);
    expect(Math.abs(average - Math.exp(logit))).toBeLessThan(4 * error);
  }
});

test('the second order brings the mean weights nearer to the clean ones than no correction, where one key dominates', () => {
  const random = new Random(5);
  const [clean, variance, draws] = [[1.8, 0, 0.2, -0.3, 0.1], 0.3, 2000];
  const plain = weightsOf(
    'off',
    clean,
    clean.map(() => 0),
  );
  const distance = (correction: Correction): number => {
    const mean = clean.map(() => 0);
    for (let t = 0; t < draws; t++) {
      const noisy = clean.map((z) => z + Math.sqrt(variance) * random.normal());
      weightsOf(
        correction,
        noisy,
        clean.map(() => variance),
      ).forEach((w, i) => (mean[i]! += w / draws));
    }
    return mean.reduce((sum, w, i) => sum + Math.abs(w - plain[i]!), 0) / 2;
  };
  expect(distance('secondOrder')).toBeLessThan(0.6 * distance('off'));
});

test('variances are constants: none of them gets a gradient', () => {
  const own = (width: number): Tensor => torch.ones([3, width]).requiresGrad_();
  const [q, k, v, keyVariance, valueVariance] = [own(4), own(4), own(4), own(2), own(2)] as const;
  const [output, variance] = ops.re_attention(q, k, v, keyVariance, ints([0, 3]), {
    heads: 2,
    value_variance: valueVariance,
  });
  expect(variance.requiresGrad).toBe(false);
  output.sum().backward();
  expect(keyVariance.grad).toBeNull();
  expect(valueVariance.grad).toBeNull();
});

test.each([
  ['a variance for each head is missing', { variance: [3, 1] }],
  ['rows of the variance are missing', { variance: [2, 2] }],
  ['the correction is not known', { options: { correction: 'first' } }],
  ['the largest penalty is negative', { options: { max_penalty: -1 } }],
])('it is refused when %s', (_, { variance = [3, 2], options = {} }: { variance?: number[]; options?: object }) => {
  const [q, k, v] = [torch.ones([3, 4]), torch.ones([3, 4]), torch.ones([3, 4])];
  expect(() => ops.re_attention(q, k, v, torch.ones(variance), ints([0, 3]), { heads: 2, ...options })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
  );
});
