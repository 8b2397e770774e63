// Ten million normals against the normal distribution. Seeds are fixed, so a run never alarms by chance; a new seed would
// alarm with the probability that each test states.

import { fromTypedArray, tidy, torch } from '../../lib/tensor';
import { normals, withSource } from './noise_support';

const COUNT = 10_000_000;
// For the laws that look at pairs, many times over.
const FEWER = 2_000_000;
// Six standard deviations: 2e-9, two-sided.
const SIGMAS = 6;

// Inside Jest a global is looked up through the sandbox at every use: ten million times is seconds.
const { abs, exp, floor, max, min, round, sqrt } = Math;

let draws: Float64Array;
beforeAll(() => {
  draws = withSource(20_240_601, (id) => normals(id, COUNT));
});

/** P(N(0, 1) <= x). */
function distribution(points: readonly number[]): number[] {
  return tidy(() => {
    const x = fromTypedArray(Float64Array.from(points), [points.length]);
    return Array.from(torch.ops.aten.special_ndtr(x).toTypedArray() as Float64Array);
  });
}

test('the first four moments are those of N(0, 1) (false alarm: 8e-9)', () => {
  let [sum1, sum2, sum3, sum4] = [0, 0, 0, 0];
  for (const x of draws) {
    sum1 += x;
    sum2 += x * x;
    sum3 += x * x * x;
    sum4 += x * x * x * x;
  }
  // Moment, and variance of x^k: E x^2k - (E x^k)^2.
  const laws = [
    [sum1, 0, 1],
    [sum2, 1, 2],
    [sum3, 0, 15],
    [sum4, 3, 96],
  ] as const;
  laws.forEach(([sum, moment, variance]) => {
    expect(abs(sum / COUNT - moment)).toBeLessThan(SIGMAS * sqrt(variance / COUNT));
  });
});

test('the distribution function is right at 4,000 points (Kolmogorov-Smirnov; false alarm: 1e-9)', () => {
  const [bins, low, high] = [4000, -5, 5];
  const below = new Float64Array(bins + 2);
  for (const x of draws) below[x < low ? 0 : x >= high ? bins + 1 : 1 + floor(((x - low) / (high - low)) * bins)]! += 1;
  const edges = Array.from({ length: bins + 1 }, (_, i) => low + ((high - low) * i) / bins);
  const truth = distribution(edges);
  let counted = 0;
  let distance = 0;
  truth.forEach((p, i) => {
    counted += below[i]!;
    distance = max(distance, abs(counted / COUNT - p));
  });
  // Dvoretzky-Kiefer-Wolfowitz with Massart's constant: P(distance > t) <= 2 exp(-2 n t^2), for any set of points.
  expect(distance).toBeLessThan(sqrt(Math.log(2 / 1e-9) / (2 * COUNT)));
});

test('1,000 bins hold what they should (chi-square; false alarm: 1e-9)', () => {
  const bins = 1000;
  const edges = Array.from({ length: bins - 1 }, (_, i) => -3 + (6 * (i + 1)) / bins);
  const truth = distribution(edges);
  const observed = new Float64Array(bins);
  for (const x of draws) observed[min(bins - 1, max(0, floor(((x + 3) / 6) * bins)))]! += 1;
  let statistic = 0;
  for (let bin = 0; bin < bins; bin++) {
    const expected = COUNT * ((truth[bin] ?? 1) - (bin === 0 ? 0 : truth[bin - 1]!));
    statistic += (observed[bin]! - expected) ** 2 / expected;
  }
  // Wilson-Hilferty, both tails: too good a fit is an alarm too.
  const freedom = bins - 1;
  const score = (Math.cbrt(statistic / freedom) - (1 - 2 / (9 * freedom))) / sqrt(2 / (9 * freedom));
  expect(abs(score)).toBeLessThan(SIGMAS);
});

test('each tail holds what it should, out to five standard deviations (false alarm: 2e-8)', () => {
  const far = draws.filter((x) => abs(x) > 2);
  for (const t of [2, 3, 3.5, 4, 4.5, 5]) {
    const [p] = distribution([-t]) as [number];
    const mean = COUNT * p;
    // Poisson with 6 standard deviations, and 6 more counts where the mean is small and the law is skew.
    const slack = SIGMAS * sqrt(mean) + 6;
    let [low, high] = [0, 0];
    for (const x of far) {
      if (x < -t) low++;
      if (x > t) high++;
    }
    expect(abs(low - mean)).toBeLessThan(slack);
    expect(abs(high - mean)).toBeLessThan(slack);
  }
});

test.each([1, 2, 3, 8, 15, 16, 17, 32, 159, 160, 161, 320, 10_240])(
  'values %i apart are uncorrelated, and so are their squares (false alarm: 4e-9)',
  (lag) => {
    let [product, squares] = [0, 0];
    for (let i = 0; i + lag < FEWER; i++) {
      const [x, y] = [draws[i]!, draws[i + lag]!];
      product += x * y;
      squares += (x * x - 1) * (y * y - 1);
    }
    expect(abs(product)).toBeLessThan(SIGMAS * sqrt(FEWER));
    expect(abs(squares)).toBeLessThan(SIGMAS * sqrt(4 * FEWER));
  },
);

test('steps of one source, and sources, are uncorrelated (false alarm: 6e-9)', () => {
  const count = 1_000_000;
  const [first, second] = withSource(1, (id) => [normals(id, count), normals(id, count)] as const);
  const other = withSource(2, (id) => normals(id, count));
  for (const [a, b] of [
    [first, second],
    [first, other],
    [second, other],
  ] as const) {
    let product = 0;
    for (let i = 0; i < count; i++) product += a[i]! * b[i]!;
    expect(abs(product)).toBeLessThan(SIGMAS * sqrt(count));
  }
});

test('the radius has random bits below 2^-32: no cut at 6.66 standard deviations (false alarm: 1e-9)', () => {
  // Rows 2p and 2p + 1 of a tile hold the two normals of one radius, so u = exp(-r^2 / 2) can be read off. Its fraction
  // in units of 2^-32 is uniform if the lower 32 bits are there, and 0 if they are not.
  const fractions: number[] = [];
  for (let tile = 0; tile < 10_000; tile++) {
    for (let i = 0; i < 80; i++) {
      const at = tile * 160 + floor(i / 16) * 32 + (i % 16);
      const u = exp(-(draws[at]! ** 2 + draws[at + 16]! ** 2) / 2);
      // For small u the fraction is known to better than 1e-4.
      if (u < 2 ** -6) fractions.push((u * 2 ** 32) % 1);
    }
  }
  fractions.sort((a, b) => a - b);
  let distance = 0;
  fractions.forEach((f, i) => {
    distance = max(distance, abs(f - i / fractions.length), abs(f - (i + 1) / fractions.length));
  });
  expect(fractions.length).toBeGreaterThan(10_000);
  expect(distance).toBeLessThan(sqrt(Math.log(2 / 1e-9) / (2 * fractions.length)) + 1e-3);
});

test('neighbouring values are far closer than the grid: a million draws hardly ever coincide after rounding to 2^-24', () => {
  const rounded = new Set<number>();
  const count = 1_000_000;
  for (let i = 0; i < count; i++) rounded.add(round(draws[i]! * 2 ** 24));
  // n^2/2 pairs meet in a cell of width h with probability h / (2 sqrt(pi)): 8,409 meetings expected; 1,000 is 11 deviations.
  const expected = (count * count * 2 ** -24) / (4 * sqrt(Math.PI));
  expect(abs(count - rounded.size - expected)).toBeLessThan(1000);
});
