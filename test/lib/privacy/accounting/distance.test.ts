// Laws of releases that are close to what they are charged as: the distance goes to δ, in every accountant, and never unnoticed.

import {
  type Accountant,
  checkEvent,
  exact,
  gaussian,
  mergeEvents,
  pld,
  poissonGaussian,
  prv,
  rdp,
} from '../../../../lib/privacy/accounting';
import { Ledger } from '../../../../lib/privacy/ledger';
import { strictDistance } from '../../../../lib/privacy/strict-noise';
import { erfc } from '../../../../lib/privacy/accounting/special';

const ACCOUNTANTS: readonly (readonly [string, Accountant])[] = [pld(), rdp(), exact()].map((one) => [one.name, one]);
const coded = (code: string): Error => expect.objectContaining({ code }) as Error;
const steps = poissonGaussian(0.02, 1.1, 50);
const near = (distance: number) => checkEvent({ ...steps, distance });

describe.each(ACCOUNTANTS)('%s', (_, accountant) => {
  test('no distance changes nothing', () => {
    expect(accountant.epsilon([near(0)], 1e-5)).toBe(accountant.epsilon([steps], 1e-5));
    expect(accountant.delta([near(0)], 2)).toBe(accountant.delta([steps], 2));
  });

  test.each([1e-12, 1e-10])('ε at a distance of %p a step keeps δ, with the distance in it', (distance) => {
    const delta = 1e-5;
    const epsilon = accountant.epsilon([near(distance)], delta);
    expect(epsilon).toBeGreaterThan(accountant.epsilon([steps], delta));
    const cost = (1 + Math.exp(epsilon)) * 50 * distance;
    // Solved, not only bounded: at this ε the described mechanism has what the distance leaves.
    const left = delta - cost;
    expect(accountant.epsilon([steps], left)).toBeLessThanOrEqual(epsilon);
    expect(accountant.epsilon([steps], left)).toBeGreaterThan(epsilon * (1 - 1e-5));
    expect(accountant.delta([near(distance)], epsilon)).toBeLessThanOrEqual(delta * (1 + 1e-9));
    expect(accountant.delta([near(distance)], epsilon)).toBeCloseTo(accountant.delta([steps], epsilon) + cost, 15);
  });

  test('a distance that leaves nothing of δ is refused, and δ is never above 1', () => {
    expect(() => accountant.epsilon([near(1e-6)], 1e-5)).toThrow(coded('ERR_ACCOUNTING'));
    expect(accountant.delta([near(0.01)], 1)).toBe(1);
  });
});

test('prv counts a distance, too; its bounds are of exact noise only', () => {
  const event = { ...gaussian(3), distance: 1e-8 };
  expect(prv().epsilon([event], 1e-5)).toBe(exact().epsilon([event], 1e-5));
  expect(() => prv().epsilonBounds([near(1e-12)], 1e-5)).toThrow(coded('ERR_ACCOUNTING'));
});

test('events of another distance are another mechanism, and a ledger keeps it', () => {
  const merged = mergeEvents([near(1e-12), steps, near(1e-12), gaussian(3)]);
  expect(merged.map(({ count, distance }) => [count, distance])).toEqual([
    [100, 1e-12],
    [50, undefined],
    [1, undefined],
  ]);
  const ledger = new Ledger(merged);
  expect(Ledger.fromJSON(JSON.parse(JSON.stringify(ledger.toJSON())) as never).events).toEqual(merged);
  expect(() => near(-1)).toThrow(coded('ERR_INVALID_ARGUMENT'));
  expect(() => near(NaN)).toThrow(coded('ERR_INVALID_ARGUMENT'));
});

test('the distance of strict noise bounds that of a discrete Gaussian from a rounded one: 0.0202 / s², extrapolated to s = 2^36', () => {
  // Direct sums where double precision still sees the difference.
  const totalVariation = (s: number): number => {
    const ends = Math.ceil(12 * s);
    const points = Array.from({ length: 2 * ends + 1 }, (_, k) => k - ends);
    const weights = points.map((x) => Math.exp((-x * x) / (2 * s * s)));
    const total = weights.reduce((a, b) => a + b, 0);
    const rounded = points.map((x) => {
      const [low, high] = [Math.abs(x) - 0.5, Math.abs(x) + 0.5].map((edge) => edge / (s * Math.SQRT2));
      return x === 0 ? 1 - erfc(high as number) : (erfc(low as number) - erfc(high as number)) / 2;
    });
    return points.reduce((sum, _, k) => sum + Math.abs((weights[k] as number) / total - (rounded[k] as number)), 0) / 2;
  };
  for (const s of [2, 8, 32, 128]) {
    expect(totalVariation(s) * s * s).toBeGreaterThan(0.019);
    expect(totalVariation(s) * s * s).toBeLessThan(0.0203);
  }
  expect(0.0203 / (2 ** 36) ** 2).toBeLessThan(strictDistance(1));
  expect(strictDistance(1)).toBeLessThan(2 * (0.0203 / (2 ** 36) ** 2));
  expect(strictDistance(1000)).toBe(1000 * strictDistance(1));
});
