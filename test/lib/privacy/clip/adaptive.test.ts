// Laws of the moving threshold: where it goes, what its count costs, and how much noise is left for the gradient.

import { fc, test as property } from '@fast-check/jest';

import { abadi, adaptive, external, perLayer, poisson } from '../../../../lib/privacy';
import { MovingClip } from '../../../../lib/privacy/moving-clip';
import { NoiseSource } from '../../../../lib/privacy/noise-source';
import { type DpPlan, makePlan, type PlanOptions } from '../../../../lib/privacy/plan';
import { SEEDED } from '../../../csrc/ops/shapes';

const refusal = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' });

describe('the next threshold', () => {
  test('is C exp(-η (b - γ)), in a new value', () => {
    const clip = adaptive({ maxGradNorm: 2, quantile: 0.7, learningRate: 0.3 });
    const next = clip.next(0.9);
    expect(next.maxGradNorm).toBeCloseTo(2 * Math.exp(-0.3 * 0.2), 14);
    expect(clip.maxGradNorm).toBe(2);
    expect(next).toMatchObject({ quantile: 0.7, learningRate: 0.3, limits: clip.limits, slack: clip.slack });
    expect(Object.isFrozen(next)).toBe(true);
  });

  const fraction = fc.double({ min: -1e6, max: 1e6, noNaN: true });
  property.prop([fc.array(fraction, { maxLength: 20 })], { ...SEEDED, numRuns: 100 })(
    'stays within the public limits of the first one, whatever is counted',
    (counted) => {
      const first = adaptive({ maxGradNorm: 2, limits: [0.5, 30], learningRate: 5 });
      const last = counted.reduce((clip, b) => clip.next(b), first);
      expect(last.limits).toEqual([0.5, 30]);
      expect(last.maxGradNorm).toBeGreaterThanOrEqual(0.5);
      expect(last.maxGradNorm).toBeLessThanOrEqual(30);
    },
  );

  test('limits are a millionth and a million times the first threshold unless given', () => {
    const { limits } = adaptive({ maxGradNorm: 0.1 }).next(0).next(1);
    expect(limits[0]).toBeCloseTo(1e-7, 16);
    expect(limits[1]).toBeCloseTo(1e5, 6);
  });

  test.each([0.2, 0.5, 0.9])('goes to the %f-quantile of norms that stay as they are', (quantile) => {
    const norms = Float64Array.from({ length: 100 }, (_, k) => 10 ** (k / 50));
    const moving = new MovingClip(adaptive({ maxGradNorm: 1e-3, quantile, limits: [1e-9, 1e9] }), {
      noiseStd: 0,
      expectedBatchSize: 100,
    });
    const noise = new NoiseSource(1);
    for (let step = 0; step < 400; step++) {
      moving.observe(norms.subarray(0, 37));
      moving.observe(norms.subarray(37));
      moving.release(noise);
      moving.advance();
    }
    noise.close();
    const below = norms.filter((norm) => norm <= moving.clip.maxGradNorm).length / 100;
    expect(Math.abs(below - quantile)).toBeLessThanOrEqual(0.02);
  });
});

describe('the count', () => {
  const started = adaptive({ maxGradNorm: 1, quantile: 0.5, learningRate: 1, slack: 0 });
  /** b̃ of one logical step, read from how far C moves. */
  function fractionOf(
    bounds: readonly number[][],
    noiseStd: number,
    noise: NoiseSource,
    expectedBatchSize = 10,
  ): number {
    const moving = new MovingClip(started, { noiseStd, expectedBatchSize });
    for (const batch of bounds) moving.observe(Float64Array.from(batch));
    moving.release(noise);
    moving.advance();
    return 0.5 - Math.log(moving.clip.maxGradNorm);
  }

  test('is centred: a sample moves it by a half over the expected batch size, up or down', () => {
    const noise = new NoiseSource(1);
    expect(fractionOf([], 0, noise)).toBeCloseTo(0.5, 14);
    expect(fractionOf([[0.2, 1], [0.9]], 0, noise)).toBeCloseTo(0.5 + 1.5 / 10, 14);
    expect(fractionOf([[0.2], [1.1, 1e300]], 0, noise)).toBeCloseTo(0.5 - 0.5 / 10, 14);
    noise.close();
  });

  test('takes samples that are not finite as above the threshold', () => {
    const noise = new NoiseSource(1);
    expect(fractionOf([[NaN, Infinity, 0.5]], 0, noise)).toBeCloseTo(0.5 - 0.5 / 10, 14);
    noise.close();
  });

  test('forgets what was counted of a step that was given up', () => {
    const noise = new NoiseSource(1);
    const moving = new MovingClip(started, { noiseStd: 0, expectedBatchSize: 10 });
    moving.observe(Float64Array.of(0.1, 0.1, 0.1));
    moving.release(noise);
    moving.forget();
    moving.advance();
    expect(moving.clip).toBe(started);
    moving.observe(Float64Array.of(2));
    moving.release(noise);
    moving.advance();
    noise.close();
    expect(moving.clip.maxGradNorm).toBeCloseTo(Math.exp(0.05), 14);
  });

  test('gets noise of the standard deviation that was planned, another one at every step', () => {
    const noise = new NoiseSource(7);
    const draws = Array.from({ length: 2000 }, () => 10 * (fractionOf([[0.1, 5]], 3, noise) - 0.5));
    noise.close();
    const mean = draws.reduce((sum, x) => sum + x, 0) / draws.length;
    const deviation = Math.sqrt(draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length);
    expect(new Set(draws).size).toBeGreaterThan(100);
    expect(Math.abs(mean)).toBeLessThan((5 * 3) / Math.sqrt(draws.length));
    expect(Math.abs(deviation / 3 - 1)).toBeLessThan(5 / Math.sqrt(2 * draws.length));
  });

  test('a rule with a fixed threshold counts nothing and uses no noise', () => {
    const clip = abadi({ maxGradNorm: 1 });
    const moving = new MovingClip(clip, { noiseStd: 0, expectedBatchSize: 10 });
    const closed = new NoiseSource(1);
    closed.close(); // any use of it would throw
    moving.observe(Float64Array.of(2));
    moving.release(closed);
    moving.advance();
    expect(moving.clip).toBe(clip);
  });
});

describe('the plan', () => {
  const plan = (options: Partial<PlanOptions>): DpPlan =>
    makePlan({
      records: 10_000,
      steps: 100,
      sampler: poisson({ batchSize: 500 }),
      clip: adaptive({ maxGradNorm: 1 }),
      ...options,
    });
  const log = (low: number, high: number): fc.Arbitrary<number> =>
    fc.double({ min: Math.log(low), max: Math.log(high), noNaN: true }).map(Math.exp);

  property.prop([log(1e-3, 1e3), log(0.51, 1e6)], { ...SEEDED, numRuns: 300 })(
    'shares the noise so that gradient and count together cost what is charged',
    (noiseMultiplier, ratio) => {
      const clip = adaptive({ maxGradNorm: 1, countNoise: noiseMultiplier * ratio });
      const { gradientNoiseMultiplier: sigma, countNoise, event } = plan({ noiseMultiplier, clip });
      expect((sigma ** -2 + (2 * countNoise!) ** -2) ** -0.5 / noiseMultiplier).toBeCloseTo(1, 12);
      expect(sigma).toBeGreaterThanOrEqual(noiseMultiplier);
      expect(event).toMatchObject({ kind: 'poissonGaussian', noiseMultiplier, count: 1 });
    },
  );

  test('takes a twentieth of the expected batch size as noise of the count unless given', () => {
    const { countNoise, gradientNoiseMultiplier } = plan({ noiseMultiplier: 1 });
    expect(countNoise).toBe(25);
    expect(gradientNoiseMultiplier).toBeCloseTo(1 / Math.sqrt(1 - 1 / 2500), 14);
  });

  test('reaches its target with everything that a step releases', () => {
    const made = plan({ target: { epsilon: 2, delta: 1e-6 } });
    expect(made.gradientNoiseMultiplier).toBeGreaterThan(made.noiseMultiplier);
    const spent = made.accountant.epsilon([{ ...made.event!, count: 100 }], 1e-6);
    expect(spent).toBeLessThanOrEqual(2);
    expect(spent).toBeGreaterThan(1.99);
  });

  test('has no noise on the count where there is none on the gradient', () => {
    const silent = plan({ noiseMultiplier: 0, clip: adaptive({ maxGradNorm: 1, countNoise: 3 }) });
    expect(silent).toMatchObject({ gradientNoiseMultiplier: 0, countNoise: 0, event: null });
  });

  test('has no count where the threshold is fixed', () => {
    const fixed = plan({ noiseMultiplier: 1.5, clip: abadi({ maxGradNorm: 1 }) });
    expect(fixed).toMatchObject({ noiseMultiplier: 1.5, gradientNoiseMultiplier: 1.5, countNoise: null });
  });

  test.each<[string, Partial<PlanOptions>]>([
    ['a count that alone costs all', { noiseMultiplier: 2, clip: adaptive({ maxGradNorm: 1, countNoise: 1 }) }],
    ['a small batch’s default count', { noiseMultiplier: 2, sampler: external({ batchSize: 20 }) }],
    [
      'a target that needs so much noise',
      { target: { epsilon: 0.01, delta: 1e-9 }, sampler: external({ batchSize: 20 }) },
    ],
    [
      'a rule that has groups all the same',
      { noiseMultiplier: 1, clip: { ...adaptive({ maxGradNorm: 1 }), grouping: perLayer() } },
    ],
    [
      'limits whose noise no grid can carry',
      { noiseMultiplier: 1, clip: adaptive({ maxGradNorm: 1, limits: [1e-290, 1] }) },
    ],
    ['a threshold whose noise no grid can carry', { noiseMultiplier: 1, clip: abadi({ maxGradNorm: 1e-290 }) }],
  ])('%s is refused before anything is trained', (_what, options) => {
    expect(() => plan(options)).toThrow(refusal);
  });
});

test.each<[string, Parameters<typeof adaptive>[0]]>([
  ['a quantile of 1', { maxGradNorm: 1, quantile: 1 }],
  ['a learning rate of 0', { maxGradNorm: 1, learningRate: 0 }],
  ['no noise on the count', { maxGradNorm: 1, countNoise: 0 }],
  ['an infinite threshold', { maxGradNorm: Infinity }],
  ['limits beside the threshold', { maxGradNorm: 1, limits: [2, 3] }],
  ['limits without end', { maxGradNorm: 1, limits: [1, Infinity] }],
  ['groups', { maxGradNorm: 1, groups: perLayer() } as never],
])('adaptive refuses %s', (_what, options) => {
  expect(() => adaptive(options)).toThrow(refusal);
});

test('a fraction that is not a number moves nothing', () => {
  expect(() => adaptive({ maxGradNorm: 1 }).next(NaN)).toThrow(refusal);
});

test('groups do not type with a moving threshold', () => {
  // @ts-expect-error groups belong to rules of fixed threshold
  expect(() => adaptive({ maxGradNorm: 1, groups: perLayer() })).toThrow(refusal);
});
