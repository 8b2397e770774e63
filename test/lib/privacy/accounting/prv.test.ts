// The PRV accountant: the truth lies between its bounds, which are close, and it says what it cannot do.

import {
  calibrateNoise,
  exact,
  gaussian,
  pld,
  poissonGaussian,
  prv,
  fixedSizeGaussian,
} from '../../../../lib/privacy/accounting';
import { type Computed, computePrv, expectInside, expectRows } from './prv';

describe('against the vectors, in a process of their own', () => {
  let computed: Computed;
  beforeAll(async () => {
    computed = await computePrv(30);
  }, 300_000);

  test('every Poisson row lies between the bounds, in both directions, and the estimate is close', () => {
    expect(expectRows(computed.poisson)).toBeGreaterThanOrEqual(6);
  });

  test('compositions of different mechanisms, in any order, below Rényi', () => {
    for (const { truth, own, reversed, rdp } of computed.compositions) {
      expectInside(own, truth.exact, 1e-7 * Math.max(1, truth.exact), 1e-4);
      expect(own.upper).toBeLessThanOrEqual(rdp);
      expect(reversed).toEqual(own);
    }
  });
});

test('what it states is the upper end: at least the exact value, within its error of the PLD', () => {
  const events = [poissonGaussian(0.05, 2, 50)];
  const { lower, upper } = prv().epsilonBounds(events, 1e-6);
  const truth = exact().epsilon(events, 1e-6);
  expect(prv().epsilon(events, 1e-6)).toBe(upper);
  expect(lower).toBeLessThan(truth);
  expect(upper).toBeGreaterThan(truth);
  expect(upper - lower).toBeLessThan(3e-3 * truth);
  expect(Math.abs(pld().epsilon(events, 1e-6) - upper)).toBeLessThan(2e-3 * truth);
  const back = prv().deltaBounds(events, truth);
  expect(back.lower).toBeLessThan(1e-6);
  expect(back.upper).toBeGreaterThan(1e-6);
  expect(prv().delta(events, truth)).toBe(back.upper);
});

test('closed forms stay closed; nothing released costs nothing; a rate of 1 is the plain mechanism', () => {
  const plain = exact().epsilon([gaussian(3, 7)], 1e-5);
  expect(prv().epsilonBounds([gaussian(3, 7)], 1e-5)).toEqual({ lower: plain, estimate: plain, upper: plain });
  expect(prv().epsilon([poissonGaussian(1, 3, 7)], 1e-5)).toBe(plain);
  expect(prv().epsilonBounds([], 1e-5)).toEqual({ lower: 0, estimate: 0, upper: 0 });
  expect(prv().delta([poissonGaussian(0, 1, 10)], 0)).toBe(0);
});

test('noise found by its upper bound keeps the target', () => {
  const target = { targetEpsilon: 2, targetDelta: 1e-5, samplingRate: 0.05, steps: 20 };
  const { noiseMultiplier, epsilon } = calibrateNoise({ ...target, accountant: prv() });
  expect(epsilon).toBeLessThanOrEqual(2);
  expect(epsilon).toBeGreaterThan(1.995);
  expect(noiseMultiplier).toBeGreaterThan(calibrateNoise({ ...target, accountant: exact() }).noiseMultiplier);
});

test('other pairs than the Poisson one and the Gaussian are refused', () => {
  for (const event of [fixedSizeGaussian(0.1, 1), poissonGaussian(0.1, 1, 1, 'replace')]) {
    const refused = expect.objectContaining({ code: 'ERR_ACCOUNTING' }) as Error;
    expect(() => prv().epsilon([event], 1e-5)).toThrow(refused);
    expect(() => prv().delta([event], 1)).toThrow(refused);
  }
  expect(() => prv().epsilon([gaussian(1)], 0)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});
