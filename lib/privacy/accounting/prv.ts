// The PRV accountant: ε between certified bounds, by numerical composition of privacy random variables.
//
// Gopi, Lee and Wutschitz 2021 (arXiv 2106.02848). Beside the PLD accountant, which rounds every loss up, it rounds to the nearest and
// keeps the mean: the middle of its interval is far closer than the interval is wide, and the interval says from both sides what is
// certain. What enters it is in prvGrid.ts.

import { type Accountant, checkDelta, checkEpsilon, finite } from './accountant';
import { bestTilt, bestTiltAt, cumulantOf, type Direction, largestLoss, logPeak, saddlePoint } from './cumulant';
import { type Composition, composition, isEmpty } from './composition';
import { raise } from '../../errors';
import { allowingDistance, totalDistance } from './distance';
import type { DpEvent } from './events';
import { exactEpsilon, exactLogDelta, hasClosedForm } from './exact';
import { type Bounds, prvGrid, type PrvGrid } from './prvGrid';

export type { Bounds } from './prvGrid';

/** The probability η of Hoeffding's inequality, relative to δ: moves ε by less than 1e-4 relative. */
const FAILURE = 1e-3;

/** The error of ε to aim at, relative to ε, and the ε below which it is absolute. */
const AIM = 1e-3;
const SMALL = 1e-3;

const ROUNDS = 12;

/** An accountant that says from both sides what is certain. `epsilon` and `delta` are its upper bounds. */
export interface PrvAccountant extends Accountant {
  readonly name: 'prv';
  /** The smallest ε >= 0 with δ(ε) <= delta. @throws as `epsilon` */
  epsilonBounds(events: readonly DpEvent[], delta: number): Bounds;
  /** δ at ε. @throws as `delta` */
  deltaBounds(events: readonly DpEvent[], epsilon: number): Bounds;
}

/**
 * The accountant of privacy random variables, for gaussian and poissonGaussian events with neighbours `addRemove` or `zeroOut`. Its
 * upper bound lies about 1e-3 relative above the exact value up to 1e5 steps, more beyond; never above the Rényi bound.
 *
 * @example prv().epsilonBounds([poissonGaussian(0.01, 1, 1000)], 1e-5)  // { lower: 1.826, estimate: 1.828, upper: 1.830 }
 * @throws ERR_ACCOUNTING for events of other kinds or neighbours.
 */
export function prv(): PrvAccountant {
  const epsilonBounds = (events: readonly DpEvent[], delta: number): Bounds => {
    checkDelta('prv.epsilon', delta);
    const composed = supported(events);
    return larger(composed, 0, (direction, floor) => prvEpsilon(composed, direction, Math.log(delta), floor));
  };
  const deltaBounds = (events: readonly DpEvent[], epsilon: number): Bounds => {
    checkEpsilon('prv.delta', epsilon);
    const composed = supported(events);
    const logs = larger(composed, -Infinity, (direction, floor) => prvLogDelta(composed, direction, epsilon, floor));
    return { lower: Math.exp(logs.lower), estimate: Math.exp(logs.estimate), upper: Math.exp(logs.upper) };
  };
  return allowingDistance({
    name: 'prv',
    epsilonBounds,
    deltaBounds,
    epsilon: (events, delta) => finite('prv.epsilon', epsilonBounds(events, delta).upper),
    delta: (events, epsilon) => finite('prv.delta', deltaBounds(events, epsilon).upper),
  });
}

function supported(events: readonly DpEvent[]): Composition {
  if (totalDistance(events) > 0) raise('ERR_ACCOUNTING', 'prv: bounds are of exact noise only; take epsilon or delta.');
  const composed = composition(events);
  if (composed.others.length === 0) return composed;
  return raise(
    'ERR_ACCOUNTING',
    'prv: known for gaussian and poissonGaussian events with neighbours addRemove or zeroOut only. Use the accountant pld.',
  );
}

/** Both directions: what is certain of one is certain of the larger. `add` may answer undefined when it cannot exceed `floor`. */
function larger(
  composed: Composition,
  nothing: number,
  of: (direction: Direction, floor: number) => Bounds | undefined,
): Bounds {
  const none = { lower: nothing, estimate: nothing, upper: nothing };
  if (isEmpty(composed)) return none;
  const removed = of('remove', -Infinity) ?? none;
  const added = (composed.sampled.length === 0 ? undefined : of('add', removed.lower)) ?? none;
  return {
    lower: Math.max(removed.lower, added.lower),
    estimate: Math.max(removed.estimate, added.estimate),
    upper: Math.max(removed.upper, added.upper),
  };
}

/** Bounds of ε in one direction; undefined where they lie below `floor`. */
export function prvEpsilon(
  composed: Composition,
  direction: Direction,
  logDelta: number,
  floor: number,
): Bounds | undefined {
  if (hasClosedForm(composed)) return same(exactEpsilon(composed, direction, logDelta));
  const logCut = cutBelow(composed, logDelta);
  const cumulant = cumulantOf(composed, direction, logCut);
  const most = Math.max(
    0,
    Math.min(bestTilt(cumulantOf(composed, direction), logDelta).epsilon, largestLoss(composed, direction)),
  );
  if (most <= floor) return undefined;
  let guess = Math.min(most, Math.max(0, bestTilt(cumulant, logDelta).epsilon));
  let best: Bounds = { lower: 0, estimate: most, upper: most };
  let tail = 20;
  let coarse = 30; // a first look, that the tilt and the aim may be those of the answer
  for (let round = 0; round < ROUNDS && most > 0; round++) {
    const grid = prvGrid({
      composed,
      direction,
      cumulant,
      logCut,
      tilt: saddlePoint(cumulant, guess),
      aim: coarse * AIM * Math.max(guess, SMALL),
      logFailure: logDelta + Math.log(FAILURE),
      tail,
    });
    const found = grid.epsilon(logDelta);
    if (found === undefined) {
      tail *= 1.5;
      continue;
    }
    best = tighter(best, found);
    const near = found.estimate >= 0.9 * guess || found.upper <= 0.9 * SMALL;
    guess = Math.min(guess, found.estimate);
    if (coarse === 1 && near) break;
    if (near) coarse = 1;
  }
  return best;
}

/** Bounds of log δ(ε) in one direction; undefined where they lie below `floor`. */
export function prvLogDelta(
  composed: Composition,
  direction: Direction,
  epsilon: number,
  floor: number,
): Bounds | undefined {
  if (epsilon >= largestLoss(composed, direction)) return undefined;
  if (hasClosedForm(composed)) return same(exactLogDelta(composed, direction, epsilon));
  const whole = cumulantOf(composed, direction);
  const s = bestTiltAt(whole, epsilon);
  const most = Math.min(0, whole.at(s).log - s * epsilon + logPeak(s));
  let best: Bounds = { lower: -Infinity, estimate: most, upper: most };
  if (most <= floor) return undefined;
  if (most < -700) return best; // nothing that a double can show
  for (let round = 0; round < ROUNDS; round++) {
    const logCut = cutBelow(composed, best.upper);
    const cumulant = cumulantOf(composed, direction, logCut);
    const tilt = saddlePoint(cumulant, epsilon);
    const before = best.upper;
    const logFailure = before + Math.log(FAILURE);
    const grid: PrvGrid = prvGrid({
      composed,
      direction,
      cumulant,
      logCut,
      tilt,
      aim: 5e-3 / tilt,
      logFailure,
      tail: 20,
    });
    const found = grid.logDelta(epsilon);
    // Just below the largest loss tilts are so large that doubles show nothing on the grid: what is known so far is certain.
    if (Number.isNaN(found.lower + found.upper)) break;
    best = tighter(best, found);
    if (best.upper > before - 0.5) break; // else cut and η were made for a larger δ
  }
  return best;
}

/** Two statements that are both certain. */
function tighter(one: Bounds, other: Bounds): Bounds {
  const lower = Math.max(one.lower, other.lower);
  const upper = Math.max(lower, Math.min(one.upper, other.upper));
  return { lower, upper, estimate: Math.min(upper, Math.max(lower, other.estimate)) };
}

function same(value: number): Bounds {
  return { lower: value, estimate: value, upper: value };
}

/** log of the P-mass that every step may lose at each end: together 1e-6 of δ. */
export function cutBelow({ mu, sampled }: Composition, logDelta: number): number {
  return logDelta - Math.log(sampled.reduce((sum, { count }) => sum + count, mu > 0 ? 1 : 0)) - 14;
}
