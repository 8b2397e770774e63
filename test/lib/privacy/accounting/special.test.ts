// Special functions against 40-digit values, and the identities that tie them together.

import fc from 'fast-check';

import { erfc, erfcx, log1mexp, logAddExp, logPhi, normalQuantile } from '../../../../lib/privacy/accounting/special';
import { expectRelative, reference } from './reference';

test.each(reference.special.map((row) => [row.x, row] as const))('at x = %d all digits are right', (x, row) => {
  expectRelative(erfcx(x), Number(row.erfcx), 1e-15);
  expectRelative(erfc(x), Number(row.erfc), 2e-15);
  expectRelative(logPhi(x), Number(row.logPhi), 1e-15);
  expectRelative(logPhi(-x), Number(row.logPhiMinus), 1e-15);
});

test('the quantile inverts the distribution function, also far below the smallest double', () => {
  for (const z of [-200, -38, -8, -1, -1e-3, 0, 0.5, 3, 8]) {
    expect(Math.abs(normalQuantile(logPhi(z)) - z)).toBeLessThanOrEqual(
      1e-12 * Math.max(1, Math.abs(z)) + (z > 5 ? 1e-2 : 0),
    );
  }
  expect(normalQuantile(-1e6)).toBeLessThan(-1414);
  expect(normalQuantile(0)).toBe(Infinity);
});

test('the distribution function and its complement add up to 1', () => {
  fc.assert(
    fc.property(fc.double({ min: -8, max: 8, noNaN: true }), (x) => {
      expect(Math.abs(logAddExp(logPhi(x), logPhi(-x)))).toBeLessThan(1e-15);
    }),
  );
});

test('logarithms of sums and differences survive overflow and underflow', () => {
  expect(logAddExp(-Infinity, -Infinity)).toBe(-Infinity);
  expect(logAddExp(1000, 1000)).toBeCloseTo(1000 + Math.LN2, 12);
  expectRelative(log1mexp(-1e-20), Math.log(1e-20), 1e-15);
  expectRelative(log1mexp(-50), -Math.exp(-50), 1e-15);
});

test('erfc has the limits 2, 1 and 0', () => {
  expect(erfc(-40)).toBe(2);
  expect(erfc(0)).toBeCloseTo(1, 15);
  expect(erfc(40)).toBe(0);
  expectRelative(erfcx(1e8), 1 / (1e8 * Math.sqrt(Math.PI)), 1e-15);
});
