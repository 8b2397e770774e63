// The strict level's integers: contributions bounded in integers, exact sums, and noise that is the discrete Gaussian.

import { fromTypedArray, tidy, torch } from '../../lib/tensor';
import { withSource } from './noise_support';

const ops = torch.ops.phantomgrad;
const SIGMAS = 6; // two-sided 2e-9; seeds are fixed

function draws(seed: number | undefined, scale: number, count: number): Float64Array {
  return tidy(() => {
    const [sum, total] = [fromTypedArray(new Float64Array(count)), fromTypedArray(new BigInt64Array(count))];
    withSource(seed, (id) => ops.strict_privatise_(sum, total, id, scale, 1));
    expect(Array.from(total.toTypedArray() as BigInt64Array).every((left) => left === 0n)).toBe(true);
    return sum.toTypedArray() as Float64Array;
  });
}

/** P[x] ∝ exp(-x² / (2 s²)) for |x| <= most. */
function law(scale: number, most: number): number[] {
  const weights = Array.from({ length: 2 * most + 1 }, (_, k) => Math.exp(-((k - most) ** 2) / (2 * scale ** 2)));
  const whole = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / whole);
}

test.each([1, 2, 3, 7])(
  'with s = %i every integer is as frequent as the discrete Gaussian says (chi-square)',
  (scale) => {
    const count = 100_000;
    const most = 4 * scale; // what is beyond is counted together
    const seen = new Float64Array(2 * most + 2);
    for (const x of draws(scale, scale, count)) {
      if (!Number.isInteger(x)) throw new Error(`${x} is not a whole number`);
      seen[Math.abs(x) > most ? 2 * most + 1 : x + most]! += 1;
    }
    const wide = law(scale, 20 * scale);
    const expected = [...wide.slice(16 * scale, 24 * scale + 1)].map((p) => p * count);
    expected.push(count - expected.reduce((a, b) => a + b, 0));
    const statistic = expected.reduce((sum, mean, k) => sum + (seen[k]! - mean) ** 2 / mean, 0);
    const width = 2 / (9 * (expected.length - 1));
    // Wilson-Hilferty, both tails.
    expect(Math.abs((Math.cbrt(statistic / (expected.length - 1)) - (1 - width)) / Math.sqrt(width))).toBeLessThan(
      SIGMAS,
    );
  },
);

test.each([2 ** 20, 2 ** 36 + 12345, 2 ** 40])('with s = %i moments and low bits are those of the law', (scale) => {
  const count = 60_000;
  const x = draws(5, scale, count);
  const [mean, square, fourth] = x.reduce<[number, number, number]>(
    ([a, b, c], value) => [
      a + value / scale / count,
      b + (value / scale) ** 2 / count,
      c + (value / scale) ** 4 / count,
    ],
    [0, 0, 0],
  );
  expect(Math.abs(mean)).toBeLessThan(SIGMAS / Math.sqrt(count));
  expect(Math.abs(square - 1)).toBeLessThan(SIGMAS * Math.sqrt(2 / count));
  expect(Math.abs(fourth - 3)).toBeLessThan(SIGMAS * Math.sqrt(96 / count));
  const odd = x.filter((value) => Math.abs(value) % 2 === 1).length;
  expect(Math.abs(odd - count / 2)).toBeLessThan((SIGMAS * Math.sqrt(count)) / 2);
});

test('draws repeat with the seed alone, and never within or between steps', () => {
  expect(draws(1, 2 ** 36, 9000)).toEqual(draws(1, 2 ** 36, 9000));
  expect(draws(undefined, 2 ** 36, 100)).not.toEqual(draws(undefined, 2 ** 36, 100));
  // 9,000 values are three chunks; two honest ones of 2^38 coincide with probability near 1e-4.
  expect(new Set(draws(1, 2 ** 36, 9000)).size).toBe(9000);
});

describe('strict_accumulate_', () => {
  const add = (values: number[], unit: number, limit: number, before = [0n, 0n, 0n]): [boolean, bigint[], number[]] =>
    tidy(() => {
      const sum = fromTypedArray(Float64Array.from(values));
      const total = fromTypedArray(BigInt64Array.from(before));
      const kept = ops.strict_accumulate_(total, sum, unit, limit);
      return [kept, [...(total.toTypedArray() as BigInt64Array)], [...(sum.toTypedArray() as Float64Array)]];
    });

  test('rounds to the nearest unit, adds exactly, and leaves the sum at zero', () => {
    expect(add([1.3, -0.8, 0.26], 0.5, 10, [5n, 0n, -2n])).toEqual([true, [8n, -2n, -1n], [0, 0, 0]]);
    expect(add([1, 0, 0], 2 ** -40, 2 ** 41, [2n ** 60n, 0n, 0n])[1][0]).toBe(2n ** 60n + 2n ** 40n);
  });

  test('a contribution at the limit counts; one that is longer, by one unit in integers, is left out whole', () => {
    expect(add([3, 4, 0], 1, 5)[0]).toBe(true);
    expect(add([3, 4, 1], 1, 5)).toEqual([false, [0n, 0n, 0n], [0, 0, 0]]);
    // In doubles the last unit is lost in the square: 2^104 + 1.
    expect(add([2 ** 52, 1, 0], 1, 2 ** 52)[0]).toBe(false);
  });

  test.each([NaN, Infinity, -Infinity, 1e300])('%d is left out', (value) => {
    expect(add([1, value, 0], 1, 100)).toEqual([false, [0n, 0n, 0n], [0, 0, 0]]);
  });

  test('what is not a unit, a limit, a scale or a pair of one length is refused', () => {
    const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }) as Error;
    expect(() => add([1, 2, 3], 3, 10)).toThrow(refused);
    expect(() => add([1, 2, 3], 1, -1)).toThrow(refused);
    expect(() => add([1, 2], 1, 10)).toThrow(refused);
    expect(() => draws(1, 0, 3)).toThrow(refused);
    expect(() => draws(1, 2 ** 41, 3)).toThrow(refused);
  });
});
