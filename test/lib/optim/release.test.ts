// The public grid is a power of two just below 2^-8 of the noise.

import { publicGrid } from '../../../lib/optim';

test.each([1, 0.7, 3.7, 1e-9, 123_456, 2 ** -899, 2 ** 900, 1 - 2 ** -53, 1 + 2 ** -52, 2 - 2 ** -52])(
  'for noise of %d it is the largest power of two that is at most a 256th',
  (noiseStd) => {
    const grid = publicGrid(noiseStd);
    expect(grid).toBeLessThanOrEqual(noiseStd / 256);
    expect(2 * grid).toBeGreaterThan(noiseStd / 256);
    expect(Number.isInteger(Math.log2(grid))).toBe(true);
  },
);

test('there is none without noise', () => {
  expect(publicGrid(0)).toBe(0);
});

test.each([-1, NaN, Infinity, 2 ** -1000])('noise of %d has no grid', (noiseStd) => {
  expect(() => publicGrid(noiseStd)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});
