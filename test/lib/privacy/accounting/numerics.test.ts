// Root finding and adaptive integration on functions whose answers are known.

import { binomialWeights } from '../../../../lib/privacy/accounting/mixture';
import { integrate } from '../../../../lib/privacy/accounting/quadrature';
import { increasingRoot } from '../../../../lib/privacy/accounting/root';

test('the root of an increasing function, also from a start where its slope is useless', () => {
  const cubic = (x: number): [number, number] => [x ** 3 - 8, 3 * x * x];
  for (const start of [-50, 0, 1.9, 400]) {
    expect(increasingRoot(cubic, { start, tolerance: 1e-13, reach: 100 })).toBeCloseTo(2, 12);
  }
  const step = (x: number): [number, number] => [Math.tanh(50 * (x - 3)), 50 / Math.cosh(50 * (x - 3)) ** 2];
  expect(increasingRoot(step, { start: -10, tolerance: 1e-12 })).toBeCloseTo(3, 10);
});

test('without a change of sign the nearer end of the bracket comes back', () => {
  const line = (x: number): [number, number] => [x, 1];
  expect(increasingRoot(line, { start: 7, low: 5, high: 9, tolerance: 1e-12 })).toBeCloseTo(5, 10);
  expect(increasingRoot(line, { start: -7, low: -9, high: -5, tolerance: 1e-12 })).toBeCloseTo(-5, 10);
});

test('integrals of smooth, peaked and oscillating functions meet their tolerance', () => {
  const { value } = integrate((x) => [Math.exp(-x * x), x * x * Math.exp(-x * x)], -8, 8, 1e-13, 20);
  expect(Math.abs(value[0] - Math.sqrt(Math.PI))).toBeLessThan(1e-12);
  expect(Math.abs(value[1] - Math.sqrt(Math.PI) / 2)).toBeLessThan(1e-9);
  const peaked = integrate((x) => [1 / (x * x + 1e-6), 0], -1, 1, 1e-9, 30);
  expect(Math.abs(peaked.value[0] - 2e3 * Math.atan(1e3))).toBeLessThan(1e-8);
  const wave = integrate((x) => [Math.cos(200 * x), 0], 0, 1, 1e-12, 20);
  expect(Math.abs(wave.value[0] - Math.sin(200) / 200)).toBeLessThan(1e-11);
  expect(wave.gross).toBeGreaterThan(0.6);
});

test.each([
  [3, 0.5],
  [100, 0.01],
  [1000, 0.3],
  [10_000, 0.999],
])('the weights of Bin(%i, %d) keep 13 digits: they add up to 1 and to the mean', (k, q) => {
  const { weights, means } = binomialWeights(k, q);
  expect(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - 1)).toBeLessThan(1e-13);
  const mean = weights.reduce((sum, weight, i) => sum + weight * (means[i] as number), 0);
  expect(Math.abs(mean / (k * q) - 1)).toBeLessThan(1e-13);
});
