// Moments of one step against other formulas for the same number.

import fc from 'fast-check';

import { complexMoment } from '../../../../lib/privacy/accounting/complexMoments';
import { lossInverse, privacyLoss } from '../../../../lib/privacy/accounting/loss';
import { tiltedMoments } from '../../../../lib/privacy/accounting/moments';
import { expectRelative, reference } from './reference';

const logMoment = (q: number, sigma: number, alpha: number): number => tiltedMoments(q, sigma, alpha).log;

/** Σ_k C(α,k) (1-q)^{α-k} q^k (e^{k(k-1)/(2σ²)} - 1): M(α) - 1 at integer orders, all terms positive. */
function binomialExcess(q: number, sigma: number, alpha: number): number {
  let sum = 0;
  let log = alpha * Math.log1p(-q);
  for (let k = 1; k <= alpha; k++) {
    log += Math.log(((alpha - k + 1) / k) * (q / (1 - q)));
    sum += Math.exp(log) * Math.expm1((k * (k - 1)) / (2 * sigma * sigma));
  }
  return sum;
}

test('integer orders equal the binomial sum, down to moments that differ from 1 by 1e-9', () => {
  for (const q of [1e-5, 1e-3, 0.02, 0.4, 0.99]) {
    for (const sigma of [0.4, 1, 5, 40]) {
      for (const alpha of [2, 3, 7, 20]) {
        const excess = binomialExcess(q, sigma, alpha);
        if (excess < 1e300) expectRelative(logMoment(q, sigma, alpha), Math.log1p(excess), 1e-11);
      }
    }
  }
});

test('M(0) = M(1) = 1, and log M is convex', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 1e-6, max: 0.999, noNaN: true }),
      fc.double({ min: 0.3, max: 50, noNaN: true }),
      fc.double({ min: -10, max: 10, noNaN: true }),
      (q, sigma, alpha) => {
        expect(Math.abs(logMoment(q, sigma, 0))).toBeLessThan(1e-14);
        expect(Math.abs(logMoment(q, sigma, 1))).toBeLessThan(1e-14);
        const middle = logMoment(q, sigma, alpha);
        const ends = (logMoment(q, sigma, alpha - 0.5) + logMoment(q, sigma, alpha + 0.5)) / 2;
        expect(middle).toBeLessThanOrEqual(ends + 1e-13 * (1 + Math.abs(ends)));
      },
    ),
    { numRuns: 200 },
  );
});

test('mean and variance under the tilt are the derivatives of log M', () => {
  for (const [q, sigma, alpha] of [
    [0.01, 1, 5],
    [0.3, 2, -3],
    [0.001, 0.7, 1.5],
  ] as const) {
    const h = 1e-4;
    const { mean, variance } = tiltedMoments(q, sigma, alpha);
    const [low, middle, high] = [-h, 0, h].map((d) => logMoment(q, sigma, alpha + d)) as [number, number, number];
    expectRelative(mean, (high - low) / (2 * h), 1e-6);
    expectRelative(variance, (high - 2 * middle + low) / (h * h), 1e-4);
  }
});

test.each(reference.moments.map((row) => [`M(${row.re} + ${row.im}i), q = ${row.q}, σ = ${row.sigma}`, row] as const))(
  '%s on the lifted contour equals the integral on the real axis',
  (_name, { q, sigma, re, im, value }) => {
    const [log, angle] = complexMoment(q, sigma, re, Infinity)(im);
    const [trueRe, trueIm] = [Number(value[0]), Number(value[1])];
    const size = Math.exp(log);
    const error = Math.hypot(size * Math.cos(angle) - trueRe, size * Math.sin(angle) - trueIm);
    expect(error).toBeLessThan(2e-14 * Math.max(1, Math.hypot(trueRe, trueIm)));
  },
);

test('the complex moment on the real axis is the real one', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 1e-6, max: 0.999, noNaN: true }),
      fc.double({ min: Math.log(0.2), max: Math.log(1e6), noNaN: true }).map(Math.exp),
      fc.double({ min: -100, max: 30, noNaN: true }),
      (q, sigma, alpha) => {
        const real = logMoment(q, sigma, alpha);
        const [log, angle] = complexMoment(q, sigma, alpha, Infinity)(0);
        expect(Math.abs(log - real)).toBeLessThan(1e-12 * (1 + Math.abs(real)));
        expect(Math.abs(Math.sin(angle))).toBeLessThan(1e-10);
      },
    ),
    { numRuns: 200 },
  );
});

test('outputs and losses invert each other, from the smallest to losses beyond 700', () => {
  for (const [q, sigma] of [
    [1e-6, 0.3],
    [0.01, 1],
    [0.999, 20],
    [1, 2],
  ] as const) {
    for (const x of [-5 * sigma, 0, 0.5, 1, 1 + 8 * sigma, 300]) {
      const loss = privacyLoss(q, sigma, x);
      if (q < 1 && loss < Math.log1p(-q) * (1 - 1e-9)) continue; // flat: x is lost in the last digit
      expect(Math.abs(privacyLoss(q, sigma, lossInverse(q, sigma, loss)) - loss)).toBeLessThan(
        1e-12 * (1 + Math.abs(loss)),
      );
    }
  }
  expect(lossInverse(0.01, 1, -1)).toBe(-Infinity);
});
