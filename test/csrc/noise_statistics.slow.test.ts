// A hundred million normals against the normal distribution: deviations of one part in ten thousand, and tails to 5.5.

import { fromTypedArray, tidy, torch } from '../../lib/tensor';
import { normals, withSource } from './noise_support';

const PART = 10_000_000;
const PARTS = 10;
const COUNT = PART * PARTS;
const SIGMAS = 6; // 2e-9, two-sided; the seed is fixed
const [BINS, LOW, HIGH] = [6000, -6, 6];
const { abs, floor, sqrt } = Math;

const inBin = new Float64Array(BINS + 2);
const power = new Float64Array(7); // Σ x^k
let coincident = 0; // Σ of products of successive steps

beforeAll(() => {
  withSource(20_260_101, (id) => {
    let before: Float64Array | null = null;
    for (let part = 0; part < PARTS; part++) {
      const draws = normals(id, PART);
      let [s1, s2, s3, s4, s6, product] = [0, 0, 0, 0, 0, 0];
      for (let i = 0; i < PART; i++) {
        const x = draws[i]!;
        const square = x * x;
        s1 += x;
        s2 += square;
        s3 += square * x;
        s4 += square * square;
        s6 += square * square * square;
        if (before !== null) product += x * before[i]!;
        inBin[x < LOW ? 0 : x >= HIGH ? BINS + 1 : 1 + floor(((x - LOW) / (HIGH - LOW)) * BINS)]! += 1;
      }
      [0, s1, s2, s3, s4, 0, s6].forEach((sum, k) => (power[k]! += sum));
      coincident += product;
      before = draws;
    }
  });
}, 600_000);

/** P(N(0, 1) <= x). */
function distribution(points: readonly number[]): number[] {
  return tidy(() => {
    const x = fromTypedArray(Float64Array.from(points), [points.length]);
    return Array.from(torch.ops.aten.special_ndtr(x).toTypedArray() as Float64Array);
  });
}

const edges = Array.from({ length: BINS + 1 }, (_, i) => LOW + ((HIGH - LOW) * i) / BINS);

test.each([
  [1, 0, 1],
  [2, 1, 2],
  [3, 0, 15],
  [4, 3, 96],
  [6, 15, 10_170],
])('moment %i is %i (false alarm: 2e-9)', (k, moment, variance) => {
  expect(abs(power[k]! / COUNT - moment)).toBeLessThan(SIGMAS * sqrt(variance / COUNT));
});

test('the distribution function is right at 6,001 points (Kolmogorov-Smirnov; false alarm: 1e-9)', () => {
  let below = 0;
  let distance = 0;
  distribution(edges).forEach((p, i) => {
    below += inBin[i]!;
    distance = Math.max(distance, abs(below / COUNT - p));
  });
  expect(distance).toBeLessThan(sqrt(Math.log(2 / 1e-9) / (2 * COUNT)));
});

test('every bin that should hold a thousand or more does (chi-square; false alarm: 2e-9)', () => {
  const truth = distribution(edges);
  let [statistic, freedom] = [0, 0];
  for (let bin = 0; bin < BINS; bin++) {
    const expected = COUNT * (truth[bin + 1]! - truth[bin]!);
    if (expected < 1000) continue;
    statistic += (inBin[bin + 1]! - expected) ** 2 / expected;
    freedom += 1;
  }
  const width = 2 / (9 * freedom);
  expect(freedom).toBeGreaterThan(2900); // 2,960 of the 6,000 bins
  expect(abs((Math.cbrt(statistic / freedom) - (1 - width)) / sqrt(width))).toBeLessThan(SIGMAS);
});

test('each tail holds what it should, out to 5.5 standard deviations (false alarm: 2e-8)', () => {
  for (const t of [3, 4, 4.5, 5, 5.5]) {
    const mean = COUNT * distribution([-t])[0]!;
    const far = Math.round(((HIGH - t) / (HIGH - LOW)) * BINS);
    const low = inBin.slice(0, far + 1).reduce((a, b) => a + b, 0);
    const high = inBin.slice(-far - 1).reduce((a, b) => a + b, 0);
    const slack = SIGMAS * sqrt(mean) + 6;
    expect(abs(low - mean)).toBeLessThan(slack);
    expect(abs(high - mean)).toBeLessThan(slack);
  }
});

test('successive steps of a source are uncorrelated (false alarm: 2e-9)', () => {
  expect(abs(coincident)).toBeLessThan(SIGMAS * sqrt(COUNT - PART));
});
