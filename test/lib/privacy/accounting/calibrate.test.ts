// What calibration promises: the target is kept by the accountant that states it, and little noise is wasted.

import fc from 'fast-check';

import {
  affordableSteps,
  calibrateNoise,
  exact,
  gaussian,
  pld,
  poissonGaussian,
  rdp,
} from '../../../../lib/privacy/accounting';

const log = (low: number, high: number): fc.Arbitrary<number> =>
  fc.double({ min: Math.log(low), max: Math.log(high), noNaN: true }).map(Math.exp);

const setting = fc.record({
  targetEpsilon: log(0.01, 100),
  targetDelta: log(1e-9, 1e-3),
  samplingRate: log(1e-3, 1),
  steps: log(1, 1e5).map(Math.floor),
});

describe.each([pld(), rdp(), exact()].map((accountant) => [accountant.name, accountant] as const))(
  '%s',
  (_name, accountant) => {
    test('epsilon of the noise found is at most the target, with slightly less noise it is above', () => {
      fc.assert(
        fc.property(setting, (target) => {
          const { noiseMultiplier, epsilon } = calibrateNoise({ ...target, accountant });
          const spent = (sigma: number): number =>
            accountant.epsilon([poissonGaussian(target.samplingRate, sigma, target.steps)], target.targetDelta);
          expect(epsilon).toBeLessThanOrEqual(target.targetEpsilon);
          expect(spent(noiseMultiplier)).toBe(epsilon);
          if (noiseMultiplier > 0.02) expect(spent(0.999 * noiseMultiplier)).toBeGreaterThan(target.targetEpsilon);
        }),
        { numRuns: 12 },
      );
    });
  },
);

test('other releases are paid from the same budget', () => {
  const target = { targetEpsilon: 2, targetDelta: 1e-6, samplingRate: 0.05, steps: 500 };
  const events = [gaussian(5)];
  const alone = calibrateNoise(target);
  const together = calibrateNoise({ ...target, events });
  expect(together.noiseMultiplier).toBeGreaterThan(alone.noiseMultiplier);
  expect(together.noiseMultiplier).toBeLessThan(1.2 * alone.noiseMultiplier);
  const all = [...events, poissonGaussian(0.05, together.noiseMultiplier, 500)];
  expect(pld().epsilon(all, 1e-6)).toBeLessThanOrEqual(2);
});

test('a target that the other releases use up is refused, and the message says what is possible', () => {
  const events = [gaussian(1)];
  const cost = pld().epsilon(events, 1e-6);
  const impossible = (): unknown =>
    calibrateNoise({ targetEpsilon: 1, targetDelta: 1e-6, samplingRate: 0.1, steps: 10, events });
  expect(impossible).toThrow(expect.objectContaining({ code: 'ERR_PRIVACY_TARGET' }));
  expect(impossible).toThrow(cost.toPrecision(4));
});

test('a target that needs no noise gets the least noise there is', () => {
  const free = calibrateNoise({ targetEpsilon: 1, targetDelta: 1e-3, samplingRate: 1e-4, steps: 1 });
  expect(free.noiseMultiplier).toBeCloseTo(0.02, 6);
  expect(free.epsilon).toBeLessThanOrEqual(1);
});

test.each([
  ['epsilon 0', { targetEpsilon: 0 }],
  ['delta 1', { targetDelta: 1 }],
  ['a rate of 0', { samplingRate: 0 }],
  ['a rate above 1', { samplingRate: 1.1 }],
  ['no steps', { steps: 0 }],
  ['half a step', { steps: 1.5 }],
])('%s is refused', (_name, change) => {
  const target = { targetEpsilon: 1, targetDelta: 1e-6, samplingRate: 0.1, steps: 10, ...change };
  expect(() => calibrateNoise(target)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});

describe('affordable steps', () => {
  const event = poissonGaussian(0.02, 1.1);
  const target = { targetEpsilon: 3, targetDelta: 1e-6, event };

  test.each([pld(), rdp(), exact()].map((accountant) => [accountant.name, accountant] as const))(
    '%s: the number returned fits, a few more do not',
    (_name, accountant) => {
      for (const events of [[], [gaussian(4), poissonGaussian(0.1, 4, 20)]]) {
        const count = affordableSteps({ ...target, events, accountant });
        const spent = (n: number): number => accountant.epsilon([...events, poissonGaussian(0.02, 1.1, n)], 1e-6);
        expect(count).toBeGreaterThan(100);
        expect(spent(count)).toBeLessThanOrEqual(3);
        expect(spent(Math.ceil(1.002 * count) + 1)).toBeGreaterThan(3);
      }
    },
  );

  test('none when the budget is spent, and all that were calibrated for', () => {
    expect(affordableSteps({ ...target, targetEpsilon: 0.01 })).toBe(0);
    expect(affordableSteps({ ...target, events: [gaussian(0.5)] })).toBe(0);
    const { noiseMultiplier } = calibrateNoise({ targetEpsilon: 8, targetDelta: 1e-6, samplingRate: 0.17, steps: 600 });
    const planned = poissonGaussian(0.17, noiseMultiplier);
    expect(affordableSteps({ targetEpsilon: 8, targetDelta: 1e-6, event: planned })).toBe(600);
  });
});
