// The search for the least noise: it ends at the root, and asks the accountant a few times only.

import fc from 'fast-check';

import {
  type Accountant,
  calibrateNoise,
  type DpEvent,
  fixedSizeGaussian,
  pld,
  poissonGaussian,
} from '../../../../lib/privacy/accounting';
import { leastFitting } from '../../../../lib/privacy/accounting/leastFitting';

const log = (low: number, high: number): fc.Arbitrary<number> =>
  fc.double({ min: Math.log(low), max: Math.log(high), noNaN: true }).map(Math.exp);

const curve = fc.record({
  root: fc.double({ min: -3.5, max: 19, noNaN: true }),
  slope: fc.double({ min: 0.5, max: 8, noNaN: true }),
  bend: fc.double({ min: 0, max: 5, noNaN: true }),
  start: fc.double({ min: -3.9, max: 20, noNaN: true }),
});

test('over falling curves it ends at the root from above, wherever it starts, in few evaluations', () => {
  fc.assert(
    fc.property(curve, ({ root, slope, bend, start }) => {
      let asked = 0;
      const value = (x: number): number => {
        asked++;
        return -slope * (x - root) - bend * Math.expm1(x - root);
      };
      const found = leastFitting(value, { start, low: Math.log(0.02), high: Math.log(1e9) });
      expect(found?.value).toBeLessThanOrEqual(0);
      expect(found?.x).toBeGreaterThanOrEqual(root);
      expect(found?.x).toBeLessThanOrEqual(root + 2e-4);
      expect(asked).toBeLessThanOrEqual(60);
    }),
  );
});

test('a cliff is found to the tolerance; where all fits the end is, where nothing fits nothing', () => {
  const range = { start: 0, low: -4, high: 20 };
  const cliff = leastFitting((x) => (x < 1.2345 ? Infinity : -Infinity), range);
  expect(cliff?.x).toBeGreaterThanOrEqual(1.2345);
  expect(cliff?.x).toBeLessThanOrEqual(1.2345 + 1e-4);
  expect(leastFitting(() => -1, range)?.x).toBe(-4);
  expect(leastFitting(() => 1, range)).toBeUndefined();
});

const setting = fc.record({
  kind: fc.constantFrom('poisson', 'replace', 'fixedSize', 'group'),
  rate: log(1e-3, 0.5),
  steps: log(10, 1e4).map(Math.floor),
  targetEpsilon: log(0.3, 10),
  targetDelta: log(1e-9, 1e-5),
});

test('the accountant is asked six times at most, and a thousandth less noise does not fit', () => {
  fc.assert(
    fc.property(setting, ({ kind, rate, steps, targetEpsilon, targetDelta }) => {
      let asked = 0;
      const own = pld({ groupSize: kind === 'group' ? 3 : 1 });
      const accountant: Accountant = {
        ...own,
        epsilon(events, delta) {
          if (events.length > 0) asked++;
          return own.epsilon(events, delta);
        },
      };
      const event = (sigma: number): DpEvent =>
        kind === 'fixedSize'
          ? fixedSizeGaussian(rate, sigma, steps)
          : poissonGaussian(rate, sigma, steps, kind === 'replace' ? 'replace' : 'addRemove');
      const { noiseMultiplier, epsilon } = calibrateNoise({ targetEpsilon, targetDelta, event, accountant });
      expect(asked).toBeLessThanOrEqual(6);
      expect(epsilon).toBe(own.epsilon([event(noiseMultiplier)], targetDelta));
      expect(epsilon).toBeLessThanOrEqual(targetEpsilon);
      expect(own.epsilon([event(0.999 * noiseMultiplier)], targetDelta)).toBeGreaterThan(targetEpsilon);
    }),
    { numRuns: 5 },
  );
});
