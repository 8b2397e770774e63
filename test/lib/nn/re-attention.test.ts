// Laws of rows that know their noise: what is predicted is what draws of the noise give, and without noise nothing changes.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  addedNoise,
  effectiveVariance,
  type ErrorModel,
  exactly,
  Initializer,
  type NoiseVariance,
  type Noisy,
  resolveReAttention,
  Segments,
  SelfAttention,
  TransformerBlock,
  type WeightNoise,
  withSegments,
} from '../../../lib/nn';
import { linearVariance } from '../../../lib/nn/noisy';
import { noGrad, type Tensor, tensor, tidy, torch } from '../../../lib/tensor';
import { Random } from '../../csrc/ops/random';
import { apart, numbers, ragged, sampler } from './support';

const noise = (weight = 0, more: Partial<WeightNoise> = {}): WeightNoise => ({
  weight,
  correction: 'logit',
  maxPenalty: null,
  ...more,
});
const draw = sampler(3);

const BLOCKS = [
  { norm: 'post', activation: 'relu' },
  { norm: 'pre', activation: 'gelu' },
] as const;

const blockOf = (options: (typeof BLOCKS)[number], dim = 8, std = 0.5): TransformerBlock =>
  new TransformerBlock({ ...options, dim, heads: 2, std, init: new Initializer(5), dtype: 'float64' });

test.each(BLOCKS)('without noise a $norm-norm block has the bits of the plain one', (options) => {
  const block = blockOf(options);
  const x = draw(9, 8);
  using segments = ragged([5, 4]);
  withSegments(segments, () => {
    const plain = block.forward(x).detach();
    const zeros = torch.zeros([9], { dtype: 'float64' });
    for (const propagate of [true, false]) {
      for (const rows of [exactly(x), { mean: x, variance: zeros }]) {
        const { mean, variance } = block.forwardNoisy(rows, noise(), { propagate });
        expect(apart(mean.detach(), plain)).toBe(0);
        expect(variance === null).toBe(rows.variance === null || !propagate);
        if (variance !== null) expect(apart(variance, zeros)).toBe(0);
      }
    }
  });
});

test.each(BLOCKS)('the variance of a $norm-norm block is no part of its gradient', (options) => {
  const block = blockOf(options);
  const x = draw(6, 8).requiresGrad_();
  using segments = ragged([6]);
  const { mean, variance } = withSegments(segments, () =>
    block.forwardNoisy({ mean: x, variance: x.square().sum([1]) }, noise(0.01)),
  );
  expect(variance!.requiresGrad).toBe(false);
  mean.sum().backward();
  expect(x.grad).not.toBeNull();
});

test('the correction reaches the rows: equal noise changes nothing, unequal noise does', () => {
  const layer = new SelfAttention(8, { heads: 2, init: new Initializer(5), dtype: 'float64', std: 0.5 });
  const x = draw(6, 8);
  using segments = ragged([6]);
  withSegments(segments, () => {
    const plain = layer.forward(x).detach();
    const noisy = (variance: number[], more: Partial<WeightNoise> = {}): Tensor =>
      layer.forwardNoisy({ mean: x, variance: tensor(variance, { dtype: 'float64' }) }, noise(0, more)).mean.detach();
    expect(apart(noisy([2, 2, 2, 2, 2, 2]), plain)).toBeLessThan(1e-12);
    expect(apart(noisy([2, 0, 0, 1, 0, 0]), plain)).toBeGreaterThan(0.01);
    expect(apart(noisy([2, 0, 0, 1, 0, 0], { correction: 'off' }), plain)).toBe(0);
    expect(apart(noisy([2, 0, 0, 1, 0, 0], { maxPenalty: 1e-9 }), plain)).toBeLessThan(1e-8);
  });
});

// Zipf errors of 12 tokens, as a tail of rare items has them.
const tokenVariance = (scale: number): number[] => Array.from({ length: 12 }, (_, t) => (scale * (t + 1)) ** 2);

/** Key variances that the rules give for one noisy draw, and those of many draws, per token, by block. */
function spread(
  options: (typeof BLOCKS)[number],
  scale: number,
  draws: number,
): { predicted: number[]; drawn: number[] }[] {
  // Logits of size 1: noise of the logits themselves, which no rule carries through the softmax, then matters little.
  const [dim, length] = [32, 12];
  const blocks = [blockOf(options, dim, 0.1), blockOf(options, dim, 0.1)];
  const clean = draw(length, dim).mul(0.3);
  const variance = tensor(tokenVariance(scale), { dtype: 'float64' });
  const noisy = (count: number): Tensor =>
    clean.add(draw(count, length, dim).mul(variance.sqrt().view([length, 1]))).reshape([count * length, dim]);
  const keysOf = (block: TransformerBlock, x: Tensor): Tensor =>
    block.attention.qkv.forward(options.norm === 'pre' ? block.attentionNorm.forward(x) : x).narrow(1, dim, dim);
  return noGrad(() =>
    tidy(() => {
      using one = Segments.equal(1, length);
      const predicted = withSegments(one, () => {
        let rows: Noisy = { mean: noisy(1), variance };
        return blocks.map((block) => {
          const input: Noisy =
            options.norm === 'pre'
              ? { mean: block.attentionNorm.forward(rows.mean), variance: normed(block, rows) }
              : rows;
          const keys = linearVariance(block.attention.qkv, input.mean, input.variance!, noise(), 3);
          rows = block.forwardNoisy(rows, noise());
          return numbers(keys.select(1, 1).contiguous());
        });
      });
      using many = Segments.equal(draws, length);
      const drawn = withSegments(many, () => {
        let x = noisy(draws);
        return blocks.map((block) => {
          const keys = keysOf(block, x).view([draws, length, dim]);
          x = block.forward(x);
          return numbers(
            keys
              .sub(keys.mean([0]))
              .square()
              .mean([0, 2])
              .mul(draws / (draws - 1)),
          );
        });
      });
      return blocks.map((_, k) => ({ predicted: predicted[k]!, drawn: drawn[k]! }));
    }),
  );
}

const normed = (block: TransformerBlock, { mean, variance }: Noisy): Tensor =>
  torch.ops.phantomgrad.layer_norm_variance(mean, variance!, block.attentionNorm.weight, {
    eps: block.attentionNorm.eps,
  });

const quantile = (values: readonly number[], q: number): number =>
  [...values].sort((a, b) => a - b)[Math.floor(q * (values.length - 1))]!;

function correlation(a: readonly number[], b: readonly number[]): number {
  const centred = (x: readonly number[]): number[] => {
    const mean = x.reduce((sum, value) => sum + value) / x.length;
    return x.map((value) => value - mean);
  };
  const [u, v] = [centred(a), centred(b)];
  const dot = (x: number[], y: number[]): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return dot(u, v) / Math.sqrt(dot(u, u) * dot(v, v));
}

test.each(BLOCKS.flatMap((options) => [0.002, 0.02].map((scale) => ({ ...options, scale }))))(
  'in two $norm-norm blocks with $activation the key variances are those of 2,000 draws (noise $scale)',
  ({ scale, ...options }) => {
    for (const [k, { predicted, drawn }] of spread(options, scale, 2000).entries()) {
      const ratios = predicted.map((value, t) => value / drawn[t]!);
      expect(quantile(ratios, 0.5)).toBeGreaterThan(0.85);
      expect(quantile(ratios, 0.5)).toBeLessThan(1.2);
      // The bounds of the design's own check: 5 to 95 % of the tokens, wider in the second layer.
      expect(quantile(ratios, 0.05)).toBeGreaterThan(k === 0 && options.norm === 'post' ? 0.9 : 0.68);
      expect(quantile(ratios, 0.95)).toBeLessThan(k === 0 && options.norm === 'post' ? 1.1 : 1.61);
      expect(correlation(predicted.map(Math.log), drawn.map(Math.log))).toBeGreaterThan(0.79);
    }
  },
);

const model = (more: Partial<ErrorModel> = {}): ErrorModel => ({
  error: 'paper',
  errorScale: 1,
  errorExponent: 1,
  curvature: 0,
  ...more,
});

interface EmbeddingRule {
  readonly rule: string;
  readonly noise_multiplier: number;
  readonly batch_size: number;
  readonly document_frequency: number[];
  readonly effective_error_weights: number;
  readonly effective_error_rows_floored: number[];
}

test('the effective error is that of the vectors, with B p of at least 1', () => {
  const file = join(__dirname, '../../fixtures/vectors/variance_rules.json');
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: EmbeddingRule[] };
  const rules = cases.filter(({ rule }) => rule === 'embedding');
  expect(rules.length).toBeGreaterThan(3);
  for (const one of rules) {
    const probability = Float64Array.from([1, ...one.document_frequency]);
    const error = {
      noiseMultiplier: one.noise_multiplier,
      expectedBatchSize: one.batch_size,
      frequencies: { provenance: 'public', probability },
    } as const;
    const { weight, rows } = effectiveVariance(error, probability.length, model());
    expect(Math.sqrt(weight)).toBeCloseTo(one.effective_error_weights, 13);
    expect(rows[0]).toBe(0);
    one.effective_error_rows_floored.forEach((sd, i) => expect(Math.sqrt(rows[i + 1]!)).toBeCloseTo(sd, 12));
  }
});

test('the error grows with σ and with 1/p, and is scaled by κ and α', () => {
  const at = (noiseMultiplier: number, p: number, more: Partial<ErrorModel> = {}): number =>
    effectiveVariance(
      {
        noiseMultiplier,
        expectedBatchSize: 1000,
        frequencies: { provenance: 'public', probability: Float64Array.of(1, p) },
      },
      2,
      model(more),
    ).rows[1]!;
  expect(at(2, 0.1)).toBeGreaterThan(at(1, 0.1));
  expect(at(1, 0.05)).toBeGreaterThan(at(1, 0.1));
  expect(at(1, 1e-9)).toBe(1);
  const scaled = { error: 'scaled', errorScale: 0.3, errorExponent: 0.5 } as const;
  expect(at(2, 0.04, scaled)).toBeCloseTo(((0.3 * 2) / (1000 * 0.2)) ** 2, 15);
});

test('a tracked error is the sum of the steps: plain, through Adam, and pulled back by curvature', () => {
  const start = { weight: 0, rows: new Float64Array(3) };
  const p = Float64Array.of(1, 1, 0.5);
  const step = { learningRate: 0.1, noiseStd: 2, secondMoment: null };
  const twice = addedNoise(addedNoise(start, p, step, model()), p, step, model());
  expect(twice.weight).toBeCloseTo(0.08, 12);
  expect([...twice.rows]).toEqual([0, twice.weight, twice.weight]);
  // Where noise is all that Adam sees, the step is the learning rate whatever the noise.
  expect(addedNoise(start, p, { ...step, secondMoment: 4 }, model()).weight).toBeCloseTo(0.01, 12);
  expect(addedNoise(start, p, { ...step, secondMoment: 0 }, model()).weight).toBe(0);
  const pulled = addedNoise(twice, p, step, model({ curvature: 1 }));
  expect(pulled.rows[1]).toBeCloseTo(0.8 * 0.08 + 0.04, 12);
  expect(pulled.rows[2]).toBeCloseTo(0.9 * 0.08 + 0.04, 12);
});

test('a tracked error is the variance of parameters that gradient descent moves by noise alone', () => {
  const random = new Random(8);
  const [steps, walkers] = [20, 4000];
  let predicted: NoiseVariance = { weight: 0, rows: Float64Array.of(0) };
  const walks = new Float64Array(walkers);
  for (let t = 0; t < steps; t++) {
    const [learningRate, noiseStd] = [0.05 + 0.01 * t, 0.7];
    predicted = addedNoise(predicted, null, { learningRate, noiseStd, secondMoment: null }, model());
    for (let w = 0; w < walkers; w++) walks[w]! -= learningRate * noiseStd * random.normal();
  }
  const drawn = walks.reduce((sum, x) => sum + x * x, 0) / walkers;
  // Four standard errors of a variance from 4,000 draws.
  expect(Math.abs(drawn / predicted.weight - 1)).toBeLessThan(4 * Math.sqrt(2 / walkers));
});

test.each([
  [{ corection: 'logit' }],
  [{ correction: 'first' }],
  [{ error: 'guess' }],
  [{ maxPenalty: 0 }],
  [{ errorScale: -1, error: 'scaled' }],
  [{ errorScale: 2 }],
  [{ errorExponent: 0.5, error: 'tracked' }],
  [{ curvature: 1, error: 'scaled' }],
])('options that are unknown, out of range or not read are refused: %j', (options) => {
  expect(() => resolveReAttention(options as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});

test('a layer that noise has no rule for is refused', () => {
  const layer = new SelfAttention(4, { init: new Initializer(1) });
  Object.assign(layer, { qkv: { forward: (x: Tensor) => torch.ops.aten.cat([x, x, x], 1) } });
  using segments = ragged([2]);
  expect(() =>
    withSegments(segments, () => layer.forwardNoisy({ mean: torch.ones([2, 4]), variance: torch.ones([2]) }, noise())),
  ).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});
