// Laws of the clipping rules: whatever the norms are, no factor lets a sample contribute more than it may.

import { fc, test as property } from '@fast-check/jest';

import {
  abadi,
  adaptive,
  automatic,
  type Clip,
  type ClipOptions,
  global,
  normalize,
  psac,
} from '../../../../lib/privacy';
import { SEEDED } from '../../../csrc/ops/shapes';

const RULES: Readonly<Record<string, (options: ClipOptions) => Clip>> = {
  abadi,
  automatic,
  'automatic without γ': (options) => automatic({ ...options, gamma: 0 }),
  normalize,
  psac,
  'psac with a tiny r': (options) => psac({ ...options, r: 1e-300 }),
  'psac with a huge r': (options) => psac({ ...options, r: 1e300 }),
  global: (options) => global({ ...options, cutoff: 2 }),
  'global with a tiny cutoff': (options) => global({ ...options, cutoff: 1e-300 }),
  adaptive,
};

const EXTREMES = [0, 5e-324, 1e-310, 1e-300, 1e-20, 0.5, 1, 2, 1e20, 1e300, Number.MAX_VALUE];
const notFinite = fc.constantFrom(NaN, Infinity);
const norm = fc.oneof(fc.constantFrom(...EXTREMES), fc.double({ min: 0, max: Number.MAX_VALUE, noNaN: true }));
const bounds = fc.array(fc.oneof({ weight: 5, arbitrary: norm }, { weight: 1, arbitrary: notFinite }), {
  maxLength: 8,
});
const threshold = fc.constantFrom(1e-300, 1e-12, 0.1, 1, 3, 1e12, 1e300);
const share = fc.constantFrom(1, Math.SQRT1_2, 0.1, 1e-8);
const slack = fc.constantFrom(0, 2 ** -10);

describe.each(Object.entries(RULES))('%s', (_name, rule) => {
  property.prop([bounds, threshold, share, slack], { ...SEEDED, numRuns: 300 })(
    'every factor is finite, at least 0, and brings its bound to at most C_g',
    (values, maxGradNorm, part, eta) => {
      const factors = rule({ maxGradNorm, slack: eta }).factors(Float64Array.from(values), part);
      expect(factors).toHaveLength(values.length);
      factors.forEach((factor, b) => {
        const bound = values[b]!;
        expect(factor).toBeGreaterThanOrEqual(0);
        expect(factor).toBeLessThan(Infinity);
        if (!Number.isFinite(bound)) expect(factor).toBe(0);
        else expect(factor * bound).toBeLessThanOrEqual(part * maxGradNorm * (1 + 2 ** -50));
      });
    },
  );

  property.prop([bounds, share], { ...SEEDED, numRuns: 50 })(
    'a share of C is the rule with that threshold',
    (values, part) => {
      const whole = rule({ maxGradNorm: 3 }).factors(Float64Array.from(values), part);
      expect(whole).toEqual(rule({ maxGradNorm: part * 3 }).factors(Float64Array.from(values)));
    },
  );

  test('slack makes factors smaller by as much, and is paid where a bound is clipped', () => {
    const [exact, widened] = [0, 2 ** -10].map((eta) =>
      rule({ maxGradNorm: 0.5, slack: eta }).factors(Float64Array.of(1)),
    );
    expect(widened![0]).toBeLessThanOrEqual(exact![0]!);
    expect(widened![0]).toBeGreaterThanOrEqual((exact![0]! / (1 + 2 ** -10)) * (1 - 2 ** -50));
  });

  test('the rule is frozen', () => {
    const frozen = rule({ maxGradNorm: 1 }) as { maxGradNorm: number };
    expect(() => (frozen.maxGradNorm = 2)).toThrow(TypeError);
  });

  test.each([
    ['a threshold of 0', { maxGradNorm: 0 }],
    ['a threshold that is not a number', { maxGradNorm: NaN }],
    ['a negative slack', { maxGradNorm: 1, slack: -1e-3 }],
    ['an option that nothing reads', { maxGradNorm: 1, clipping: 2 }],
  ])('%s is refused', (_what, options) => {
    expect(() => rule(options)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  });
});

describe('formulas of the papers, without slack', () => {
  const at = (clip: Clip, ...norms: number[]): number[] => [...clip.factors(Float64Array.from(norms))];
  const options = { maxGradNorm: 2, slack: 0 };

  test('psac is C / (n + r / (n + r)): C for vanishing gradients, C / n for large ones', () => {
    const clip = psac({ ...options, r: 0.1 });
    expect(at(clip, 0)).toEqual([2]);
    expect(at(clip, 1)[0]).toBeCloseTo(2 / (1 + 0.1 / 1.1), 14);
    expect(at(clip, 1e6)[0]! * 1e6).toBeCloseTo(2, 10);
    expect(clip.settings).toEqual({ r: 0.1 });
  });

  test('psac weighs a medium gradient most, where automatic weighs the smallest most', () => {
    const norms = Array.from({ length: 200 }, (_, k) => 10 ** (-4 + k / 40));
    const heaviest = (clip: Clip): number => {
      const factors = at(clip, ...norms);
      return norms[factors.indexOf(Math.max(...factors))]!;
    };
    expect(heaviest(psac({ ...options, r: 0.1 }))).toBeCloseTo(Math.sqrt(0.1) - 0.1, 1); // n' = 0 of n + r / (n + r)
    expect(heaviest(automatic(options))).toBe(norms[0]);
  });

  test('global is C / Z up to the cutoff, the cutoff included, and 0 beyond it', () => {
    expect(at(global({ ...options, cutoff: 8 }), 0, 1, 8, 8.0001)).toEqual([0.25, 0.25, 0.25, 0]);
  });

  test('adaptive clips as abadi at the threshold of the step', () => {
    const norms = [0, 1, 2, 5];
    expect(at(adaptive(options), ...norms)).toEqual(at(abadi(options), ...norms));
  });

  test.each([
    ['psac', () => psac({ maxGradNorm: 1, r: 0 })],
    ['global', () => global({ maxGradNorm: 1, cutoff: Infinity })],
    ['automatic', () => automatic({ maxGradNorm: 1, gamma: -1 })],
    ['normalize without clipping', () => normalize({ maxGradNorm: Infinity })],
  ])('%s refuses constants out of range', (_name, make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  });
});
