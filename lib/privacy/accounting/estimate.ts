// Quick estimates of ε that steer searches. Nothing is stated from them.
//
// The quickest is the saddle point's: with φ(s) = Λ(s) - sε - log(s (s + 1)) and its minimum at s, δ(ε) is about e^{φ(s)} / sqrt(2π φ''(s)).
// No grid, some milliseconds; four digits where many steps count, far off where few rare ones do. There a small grid is better: rounding
// to the nearest with the mean kept errs in second order only (the PRV grid), and what rounding up adds can be predicted and taken off.

import { type Composition, isEmpty } from './composition';
import { binnedGuess } from './ballsAndBins';
import { bestTilt, cumulantOf, saddlePoint } from './cumulant';
import { exactEpsilon, hasClosedForm } from './exact';
import { gaussianEpsilon } from './gaussian';
import { lossGrid } from './lossGrid';
import { prvGrid } from './prvGrid';
import { increasingRoot } from './root';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

const POINTS = 2 ** 14;

/** Steps beyond which one of them is less than a point of a small grid, and the saddle point is as good as that. */
const MANY = 3e6;

/** log of the P-mass of one step that may be left out. */
function cutBelow({ mu, sampled, others }: Composition, logDelta: number): number {
  return logDelta - Math.log(countOf({ sampled, others }) + (mu > 0 ? 1 : 0)) - 14;
}

function countOf({ sampled, others }: Pick<Composition, 'sampled' | 'others'>): number {
  return [...sampled, ...others].reduce((sum, { count }) => sum + count, 0);
}

/** About the ε >= 0 of direction `remove` at log δ by the saddle point, of any composition; without amplification for balls and bins. */
export function saddleEpsilon(composed: Composition, logDelta: number): number {
  if (isEmpty(composed)) return 0;
  if (composed.binned) return gaussianEpsilon(composed.binned.mu, logDelta);
  if (hasClosedForm(composed)) return exactEpsilon(composed, 'remove', logDelta);
  const cumulant = cumulantOf(composed, 'remove', cutBelow(composed, logDelta));
  const at = (s: number): { readonly epsilon: number; readonly logDelta: number; readonly stiffness: number } => {
    const { log, mean, variance } = cumulant.at(s);
    const epsilon = mean - 1 / s - 1 / (s + 1);
    const stiffness = variance + 1 / s ** 2 + 1 / (s + 1) ** 2;
    return {
      epsilon,
      logDelta: log - s * epsilon - Math.log(s) - Math.log1p(s) - Math.log(2 * Math.PI * stiffness) / 2,
      stiffness,
    };
  };
  const spread = Math.sqrt(cumulant.at(0).variance);
  const logS = increasingRoot(
    (u) => {
      const s = Math.exp(u);
      const point = at(s);
      return [logDelta - point.logDelta, s * s * point.stiffness];
    },
    {
      start: Math.log(Math.sqrt(-2 * logDelta) / spread + 0.5),
      high: Math.log(cumulant.largestTilt),
      tolerance: 1e-4,
    },
  );
  return Math.max(0, at(Math.exp(logS)).epsilon);
}

/** About the ε >= 0 at log δ by a small grid where that is better, of any composition. @throws ERR_ACCOUNTING out of range */
export function estimateEpsilon(composed: Composition, logDelta: number): number {
  if (isEmpty(composed)) return 0;
  if (composed.binned) return binnedGuess(composed.binned, logDelta);
  if (hasClosedForm(composed)) return exactEpsilon(composed, 'remove', logDelta);
  if (countOf(composed) > MANY) return saddleEpsilon(composed, logDelta);
  return composed.others.length > 0 ? roundedUp(composed, logDelta) : roundedToNearest(composed, logDelta);
}

/** By the middle of the PRV interval on a small grid, for gaussian and poissonGaussian events. */
function roundedToNearest(composed: Composition, logDelta: number): number {
  const logCut = cutBelow(composed, logDelta);
  const cumulant = cumulantOf(composed, 'remove', logCut);
  let guess = Math.max(0, bestTilt(cumulant, logDelta).epsilon);
  let tail = 18;
  for (let round = 0; round < 8 && guess > 0; round++) {
    const grid = prvGrid({
      composed,
      direction: 'remove',
      cumulant,
      logCut,
      tilt: saddlePoint(cumulant, guess),
      aim: 1e-3 * guess,
      logFailure: logDelta - 7,
      tail,
      most: POINTS,
    });
    const found = grid.estimate(logDelta);
    if (found === undefined) {
      tail *= 1.5;
      continue;
    }
    const near = found >= 0.8 * guess;
    guess = Math.min(guess, found);
    if (near) break;
  }
  return guess;
}

/** By the PLD on small grids, less what rounding up is predicted to have added. */
function roundedUp(composed: Composition, logDelta: number): number {
  const logCut = cutBelow(composed, logDelta);
  const cumulant = cumulantOf(composed, 'remove', logCut);
  let guess = Math.max(0, bestTilt(cumulant, logDelta).epsilon);
  let size = POINTS / 8;
  let tail = 18;
  for (let round = 0; round < 8 && guess > 0; round++) {
    const tilt = saddlePoint(cumulant, guess);
    const grid = lossGrid({ composed, direction: 'remove', cumulant, logCut, tilt, size, tail });
    const found = grid.epsilon(logDelta);
    if (found === undefined) {
      tail *= 1.5;
      size = POINTS;
      continue;
    }
    const value = Math.max(found / 2, found - grid.excess / tilt);
    const near = value >= 0.8 * guess;
    guess = Math.min(guess, value);
    if (near && size === POINTS) break;
    if (near) size = POINTS;
  }
  return guess;
}
