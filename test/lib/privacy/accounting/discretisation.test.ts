// Laws of the grid: it keeps the masses under P and Q, and its hockey-stick curve touches the true one from above.

import { discretise, type DiscreteLoss } from '../../../../lib/privacy/accounting/discretisation';
import { gaussianLogDelta } from '../../../../lib/privacy/accounting/gaussian';
import { tiltedMoments } from '../../../../lib/privacy/accounting/moments';
import { oneStepLogDelta } from '../../../../lib/privacy/accounting/step';
import { expectRelative } from './reference';

const CASES = [
  [0.01, 1],
  [0.3, 0.5],
  [1e-4, 4],
  [0.9, 2],
  [1, 3],
] as const;

function grid(q: number, sigma: number, direction: 'remove' | 'add', width: number, tilt: number): DiscreteLoss {
  const log =
    q === 1
      ? (tilt * (tilt + 1)) / (2 * sigma ** 2)
      : tiltedMoments(q, sigma, direction === 'remove' ? 1 + tilt : -tilt).log;
  return discretise({ q, sigma, count: 1 }, { direction, width, tilt, log, logCut: Math.log(1e-25) });
}

/** Σ P(l) f(l) over the grid, the tilt undone. */
function mean({ mass, first, log }: DiscreteLoss, width: number, tilt: number, f: (loss: number) => number): number {
  return mass.reduce((sum, p, k) => {
    const loss = (first + k) * width;
    return sum + p * Math.exp(log - tilt * loss) * f(loss);
  }, 0);
}

describe.each(CASES)('q = %d, σ = %d', (q, sigma) => {
  test.each(['remove', 'add'] as const)('%s: the P-mass and the Q-mass are those of the step', (direction) => {
    for (const width of [0.03, 1e-3]) {
      for (const tilt of [1e-9, 2]) {
        const loss = grid(q, sigma, direction, width, tilt);
        expect(Math.abs(mean(loss, width, tilt, () => 1) - 1)).toBeLessThan(1e-11);
        // Moving the lower tail up loses a little Q-mass, which is on the safe side.
        const underQ = mean(loss, width, tilt, (l) => Math.exp(-l));
        expect(underQ).toBeLessThan(1 + 1e-11);
        expect(underQ).toBeGreaterThan(1 - 1e-6);
        expect(loss.logInfinity).toBeLessThanOrEqual(Math.log(1.001e-25));
      }
    }
  });

  test.each(['remove', 'add'] as const)(
    '%s: delta is exact at grid points and above the truth between them',
    (direction) => {
      const width = 0.02;
      const loss = grid(q, sigma, direction, width, 1);
      const deltaOf = (epsilon: number): number => mean(loss, width, 1, (l) => Math.max(0, -Math.expm1(epsilon - l)));
      for (let k = 0; k < 200; k++) {
        const epsilon = k * 0.005;
        const logTruth =
          q === 1 ? gaussianLogDelta(1 / sigma, epsilon) : oneStepLogDelta({ q, sigma, count: 1 }, direction, epsilon);
        const truth = Math.exp(logTruth);
        const own = deltaOf(epsilon);
        expect(own).toBeGreaterThanOrEqual(truth * (1 - 1e-11) - 1e-18);
        if (k % 4 === 0 && truth > 1e-9) expectRelative(own, truth, 1e-7);
      }
    },
  );

  test('a finer grid has a smaller excess, at least in proportion', () => {
    const excess = [0.02, 0.01, 0.005].map((width) => grid(q, sigma, 'remove', width, 2).excess);
    expect(excess[0]).toBeGreaterThan(0);
    expect(excess[1]!).toBeLessThanOrEqual(0.6 * excess[0]!);
    expect(excess[2]!).toBeLessThanOrEqual(0.6 * excess[1]!);
  });
});

test('what is cut off is counted as infinite loss', () => {
  const log = tiltedMoments(0.2, 1, 2).log;
  const loss = discretise(
    { q: 0.2, sigma: 1, count: 1 },
    { direction: 'remove', width: 0.01, tilt: 1, log, logCut: Math.log(1e-3) },
  );
  expect(Math.exp(loss.logInfinity)).toBeGreaterThan(1e-4);
  expect(Math.exp(loss.logInfinity)).toBeLessThanOrEqual(1.0001e-3);
  const finite = mean(loss, 0.01, 1, () => 1);
  expect(finite + Math.exp(loss.logInfinity)).toBeCloseTo(1, 11);
});
