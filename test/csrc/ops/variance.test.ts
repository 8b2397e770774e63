// How noise spreads through layers: the rules against vectors, twins, and draws of the noise itself.

import { fc, test as property } from '@fast-check/jest';
import { tensor, type Tensor, torch } from '../../../lib/tensor';
import { expectClose } from './numbers';
import { Random } from './random';
import { dtype, seed, SEEDED, width } from './shapes';
import { PRECISIONS, rows, vectors } from './vectors';

const ops = torch.ops.phantomgrad;
const doubles = (t: Tensor): Float64Array => t.detach().to('float64').toTypedArray() as Float64Array;

interface Linear {
  readonly rule: 'linear';
  readonly weight: number[][];
  readonly mean: number[];
  readonly weight_variance: number;
  readonly bias_variance: number;
  readonly variance_scalar: number;
  readonly expect_scalar: number;
}

interface LayerNorm {
  readonly rule: 'layernorm';
  readonly x: number[];
  readonly gamma: number[];
  readonly eps: number;
  readonly gamma_variance: number;
  readonly beta_variance: number;
  readonly variance_scalar: number;
  readonly expect_scalar: { readonly plain: number; readonly capped: number };
}

const rules = (vectors('variance_rules.json') as { cases: (Linear | LayerNorm | { rule: 'other' })[] }).cases;
const tolerance = (type: string): { relative: number } => ({ relative: type === 'float64' ? 1e-11 : 1e-5 });
const vector = (values: readonly number[], type: 'float32' | 'float64'): Tensor =>
  tensor(Float64Array.from(values), { dtype: type });

for (const { dtype: type } of PRECISIONS) {
  test(`a linear layer spreads noise as the vectors say in ${type}`, () => {
    const cases = rules.filter((one): one is Linear => one.rule === 'linear');
    expect(cases.length).toBeGreaterThan(3);
    for (const { weight, mean, weight_variance, bias_variance, variance_scalar, expect_scalar } of cases) {
      const got = ops.linear_variance(
        rows([mean], mean.length, type),
        vector([variance_scalar], type),
        rows(weight, mean.length, type),
        { weight_variance, bias_variance },
      );
      expectClose(doubles(got), [expect_scalar], tolerance(type));
    }
  });

  test(`LayerNorm spreads noise as the vectors say, saturated or not, in ${type}`, () => {
    const cases = rules.filter((one): one is LayerNorm => one.rule === 'layernorm');
    expect(cases.length).toBeGreaterThan(3);
    for (const { x, gamma, eps, gamma_variance, beta_variance, variance_scalar, expect_scalar } of cases)
      for (const saturate of [false, true]) {
        const got = ops.layer_norm_variance(
          rows([x], x.length, type),
          vector([variance_scalar], type),
          vector(gamma, type),
          { weight_variance: gamma_variance, bias_variance: beta_variance, eps, saturate },
        );
        expectClose(doubles(got), [saturate ? expect_scalar.capped : expect_scalar.plain], tolerance(type));
      }
  });

  test(`ReLU and GELU of a Gaussian have the variances of the vectors in ${type}`, () => {
    const { cases } = vectors('variance_activation.json') as {
      cases: { mean: number; variance: number; relu: { variance: number }; gelu: { variance: number } }[];
    };
    for (const activation of ['relu', 'gelu'] as const) {
      // Twice a channel: a mean over channels, and vector and tail of the kernel.
      for (const channels of [1, 19]) {
        const x = rows(
          cases.map(({ mean }) => Array.from({ length: channels }, () => mean)),
          channels,
          type,
        );
        const got = ops.activation_variance(
          x,
          vector(
            cases.map(({ variance }) => variance),
            type,
          ),
          activation,
        );
        const want = cases.map((one) => one[activation].variance);
        expectClose(doubles(got), want, { relative: type === 'float64' ? 1e-9 : 1e-4, what: activation });
      }
    }
  });
}

property.prop([fc.integer({ min: 0, max: 5 }), width, fc.constantFrom(1, 2, 3), dtype, seed], {
  ...SEEDED,
  numRuns: 60,
})('every rule equals its twin', (count, d, groups, type, start) => {
  const random = new Random(start);
  const draw = (size: number, shape: number[], square = false): [Tensor, Tensor] => {
    const values = random.normals(size).map((x) => Math.fround(square ? x * x : x));
    return [tensor(values, { dtype: type, shape }), tensor(values, { shape })];
  };
  const [x, x2] = draw(count * d, [count, d]);
  const [v, v2] = draw(count, [count], true);
  const [w, w2] = draw(4 * groups * d, [4 * groups, d]);
  const [gamma, gamma2] = draw(d, [d]);
  const noise = { weight_variance: random.uniform(), bias_variance: random.uniform() };
  const relative = type === 'float64' ? 1e-10 : 1e-4;
  const near = (got: Tensor, want: Tensor, what: string): void =>
    expectClose(doubles(got), doubles(want), { relative, what });
  near(
    ops.linear_variance(x, v, w, { ...noise, groups }),
    ops.reference_linear_variance(x2, v2, w2, { ...noise, groups }),
    'linear',
  );
  near(
    ops.layer_norm_variance(x, v, gamma, { ...noise, eps: 0.1 }),
    ops.reference_layer_norm_variance(x2, v2, gamma2, { ...noise, eps: 0.1 }),
    'LayerNorm',
  );
  for (const activation of ['relu', 'gelu'])
    near(ops.activation_variance(x, v, activation), ops.reference_activation_variance(x2, v2, activation), activation);
});

test.each(['relu', 'gelu'])('%s grows with the noise, and noise-free rows stay so', (activation) => {
  const levels = [0, 1e-12, 1e-6, 1e-4, 9e-4, 1e-3, 0.1, 1, 100, 255, 257, 1e4];
  const x = tensor(
    Float64Array.from({ length: 9 * levels.length }, (_, i) => ((i % 9) - 4) / 2),
    {
      dtype: 'float32',
      shape: [levels.length, 9],
    },
  );
  const got = doubles(ops.activation_variance(x, vector(levels, 'float32'), activation));
  expect(got[0]).toBe(0);
  for (let i = 1; i < levels.length; i++) {
    expect(got[i]!).toBeGreaterThan(got[i - 1]!);
    expect(got[i]!).toBeLessThan(1.3 * levels[i]!);
  }
});

test('where the activation is far from its bend the noise passes whole or not at all', () => {
  for (const activation of ['relu', 'gelu']) {
    const got = doubles(
      ops.activation_variance(rows([[30], [-30]], 1, 'float32'), vector([0.5, 0.5], 'float32'), activation),
    );
    expect(got[0]).toBeCloseTo(0.5, 5);
    expect(got[1]).toBeLessThan(1e-20);
  }
});

test('a linear layer of noisy weights, bias and inputs has the variance that the rule says, drawn 5,000 times', () => {
  const random = new Random(3);
  const [d, out, draws] = [8, 16, 5_000];
  const [v, s, sb] = [0.3, 0.05, 0.2];
  const [x, w] = [random.normals(d), random.normals(out * d)];
  const shift = (values: Float64Array, variance: number): Float64Array =>
    values.map((value) => value + Math.sqrt(variance) * random.normal());
  const [sum, squares] = [new Float64Array(out), new Float64Array(out)];
  for (let t = 0; t < draws; t++) {
    const [input, weight] = [shift(x, v), shift(w, s)];
    for (let o = 0; o < out; o++) {
      let y = Math.sqrt(sb) * random.normal();
      for (let i = 0; i < d; i++) y += weight[o * d + i]! * input[i]!;
      sum[o]! += y;
      squares[o]! += y * y;
    }
  }
  const drawn = sum.reduce((total, _, o) => total + squares[o]! / draws - (sum[o]! / draws) ** 2, 0) / out;
  const rule = doubles(
    ops.linear_variance(tensor(x, { shape: [1, d] }), vector([v], 'float64'), tensor(w, { shape: [out, d] }), {
      weight_variance: s,
      bias_variance: sb,
    }),
  )[0]!;
  expect(drawn / rule).toBeGreaterThan(0.96);
  expect(drawn / rule).toBeLessThan(1.04);
});

test('a variance of another number of rows, and a weight of another width, are refused', () => {
  const x = torch.ones([3, 4]);
  const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }) as Error;
  expect(() => ops.activation_variance(x, torch.ones([2]), 'relu')).toThrow(refused);
  expect(() => ops.activation_variance(x, torch.ones([3]), 'tanh')).toThrow(refused);
  expect(() => ops.linear_variance(x, torch.ones([3]), torch.ones([4, 3]), { weight_variance: 0 })).toThrow(refused);
  expect(() => ops.linear_variance(x, torch.ones([3]), torch.ones([4, 4]), { weight_variance: -1 })).toThrow(refused);
  expect(() => ops.layer_norm_variance(x, torch.ones([3]), torch.ones([3]))).toThrow(refused);
});
