// A quick estimate of ε that steers searches: the middle of the PRV interval on a small grid.
//
// Rounding to the nearest with the mean kept errs in second order only, so 2^14 points give three to six digits in some ten
// milliseconds, where a certified value of the same accuracy takes a second. Nothing is stated from it.

import { bestTilt, cumulantOf, saddlePoint } from './cumulant';
import { type Composition, isEmpty } from './composition';
import { exactEpsilon, hasClosedForm } from './exact';
import { cutBelow } from './prv';
import { prvGrid } from './prvGrid';

const POINTS = 2 ** 14;

/** About the ε >= 0 of direction `remove` at log δ, for gaussian and poissonGaussian events. @throws ERR_ACCOUNTING out of range */
export function estimateEpsilon(composed: Composition, logDelta: number): number {
  if (isEmpty(composed)) return 0;
  if (hasClosedForm(composed)) return exactEpsilon(composed, 'remove', logDelta);
  const logCut = cutBelow(composed, logDelta);
  const cumulant = cumulantOf(composed, 'remove', logCut);
  let guess = Math.max(0, bestTilt(cumulant, logDelta).epsilon);
  let tail = 18;
  for (let round = 0; round < 8 && guess > 0; round++) {
    const tilt = saddlePoint(cumulant, guess);
    const logFailure = logDelta - 7;
    const grid = prvGrid({
      composed,
      direction: 'remove',
      cumulant,
      logCut,
      tilt,
      aim: 1e-3 * guess,
      logFailure,
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
