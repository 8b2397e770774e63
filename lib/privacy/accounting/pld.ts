// The PLD accountant: certified upper bounds from the distribution of the privacy loss, on a grid that refines itself.
//
// Sources of error, each in the safe direction: the loss of one step is rounded up (connect the dots), truncated tails
// and aliasing of the cyclic convolution count fully as δ, FFT rounding is bounded and added, rounding of single losses
// shifts ε. The composition is computed under the tilt e^{sL} near its saddle point, so that all of this is relative to
// the δ asked for, also at 1e-30. Only sharpness depends on tilt, window and grid: any of them gives a valid bound.

import * as check from '../../check';
import { type Accountant, checkDelta, checkEpsilon, finite } from './accountant';
import { binnedEpsilon, binnedLogDelta } from './ballsAndBins';
import { bestTilt, bestTiltAt, cumulantOf, type Direction, largestLoss, logPeak, saddlePoint } from './cumulant';
import { type Composition, composition, isEmpty } from './composition';
import { allowingDistance } from './distance';
import type { DpEvent } from './events';
import { exactEpsilon, exactLogDelta, hasClosedForm } from './exact';
import { type LossGrid, lossGrid } from './lossGrid';

const SMALLEST = 2 ** 11;
const LARGEST = 2 ** 22;
const ROUNDS = 16;

/**
 * The privacy loss distribution accountant: an upper bound within 1e-3 of the exact value (typically 2e-5 relative).
 *
 * @example pld().epsilon([poissonGaussian(0.01, 1, 1000)], 1e-5)  // 1.8283
 */
export function pld(options: PldOptions = {}): Accountant {
  check.onlyKnown('pld', options, ['groupSize']);
  const { groupSize = 1 } = options;
  check.integer('pld', { groupSize }, 1);
  const compose = (events: readonly DpEvent[]): Composition => composition(events, { groupSize, binned: true });
  return allowingDistance({
    name: 'pld',
    ...(groupSize === 1 ? {} : { groupSize }),
    epsilon(events, delta) {
      checkDelta('pld.epsilon', delta);
      const composed = compose(events);
      if (isEmpty(composed)) return 0;
      const logDelta = Math.log(delta);
      if (composed.binned) return finite('pld.epsilon', binnedEpsilon(composed.binned, logDelta));
      const removed = pldEpsilon(composed, 'remove', logDelta);
      // `add` is hardly ever the larger one: a bound on it needs no sharper grid than what shows that.
      const added = isSymmetric(composed) ? 0 : pldEpsilon(composed, 'add', logDelta, removed);
      return finite('pld.epsilon', Math.max(removed, added));
    },
    delta(events, epsilon) {
      checkEpsilon('pld.delta', epsilon);
      const composed = compose(events);
      if (isEmpty(composed)) return 0;
      if (composed.binned) return finite('pld.delta', Math.exp(binnedLogDelta(composed.binned, epsilon)));
      const removed = pldLogDelta(composed, 'remove', epsilon);
      const added = isSymmetric(composed) ? -Infinity : pldLogDelta(composed, 'add', epsilon, removed);
      return finite('pld.delta', Math.exp(Math.max(removed, added)));
    },
  });
}

export interface PldOptions {
  /**
   * How many records two neighbouring data sets differ in, k. Poisson sampling takes Bin(k, q) of them, which is far less than
   * k times the ε of one. Default 1. For gaussian and poissonGaussian events, neighbours `addRemove` or `zeroOut`.
   */
  readonly groupSize?: number;
}

/** True when both directions have the same privacy loss: plain Gaussians and symmetric pairs. */
function isSymmetric({ sampled, others }: Composition): boolean {
  return sampled.length === 0 && others.every(({ pair }) => pair.symmetric);
}

/** The Rényi bound on ε. The moments of other pairs choose grids but carry no proof: they bound nothing here. */
function renyiEpsilonBound(composed: Composition, direction: Direction, logDelta: number): number {
  return composed.others.length > 0 ? Infinity : bestTilt(cumulantOf(composed, direction), logDelta).epsilon;
}

/**
 * An upper bound on the smallest ε >= 0 with δ(ε) <= exp(logDelta), in one direction.
 *
 * @param enough  A bound of at most this need not become sharper. Default 0.
 */
export function pldEpsilon(composed: Composition, direction: Direction, logDelta: number, enough = 0): number {
  if (isEmpty(composed)) return 0;
  if (hasClosedForm(composed)) return exactEpsilon(composed, direction, logDelta);
  let best = Math.min(renyiEpsilonBound(composed, direction, logDelta), largestLoss(composed, direction));
  if (best <= enough) return Math.max(0, best);
  const logCut = cutBelow(composed, logDelta);
  const cumulant = cumulantOf(composed, direction, logCut);
  let guess = Math.min(best, bestTilt(cumulant, logDelta).epsilon);
  let tail = 18;
  let size = SMALLEST;
  let last: Result | undefined;
  for (let round = 0; round < ROUNDS && best > enough; round++) {
    const tilt = saddlePoint(cumulant, Math.max(0, guess));
    const grid = lossGrid({ composed, direction, cumulant, logCut, tilt, size, tail });
    const found = grid.epsilon(logDelta);
    if (found === undefined) {
      if (size === LARGEST) break; // rounding, which grows with the number of steps: the Rényi bound stays
      // Too coarse, or what lies above the window is not negligible.
      tail *= 1.5;
      size = Math.min(LARGEST, 8 * size);
      continue;
    }
    best = Math.min(best, found);
    if (found === 0) break;
    const near = found >= 0.8 * guess;
    guess = Math.min(guess, found);
    if (!near && size === SMALLEST) continue; // a better tilt first: it is the cheapest round
    const excess = Math.max(grid.excess / tilt, observedExcess(last, { size, value: found }));
    last = { size, value: found };
    const next = nextSize(size, excess / Math.max(found, 1e-3));
    if (next <= size || !worthRefining(grid, found, tilt * excess)) break;
    size = next;
  }
  return Math.max(0, best);
}

/** An upper bound on log δ(ε), in one direction; one of at most `enough` need not become sharper. */
export function pldLogDelta(composed: Composition, direction: Direction, epsilon: number, enough = -Infinity): number {
  if (isEmpty(composed) || epsilon >= largestLoss(composed, direction)) return -Infinity;
  if (hasClosedForm(composed)) return exactLogDelta(composed, direction, epsilon);
  let best = Math.min(0, renyiBound(composed, direction, epsilon));
  if (best < -700) return best; // nothing that a double can show
  let size = SMALLEST;
  let last: Result | undefined;
  for (let round = 0; round < ROUNDS && best > enough; round++) {
    const logCut = cutBelow(composed, best);
    const cumulant = cumulantOf(composed, direction, logCut);
    const tilt = saddlePoint(cumulant, epsilon);
    const grid = lossGrid({ composed, direction, cumulant, logCut, tilt, size, tail: 18 });
    const found = grid.logDelta(epsilon);
    const settled = found > best - 0.5; // else the cut was made for a larger δ
    const above = found - best; // a grid under another tilt has shown more
    best = Math.min(best, found);
    if (!settled) continue;
    const excess = Math.max(grid.excess, observedExcess(last, { size, value: found }), above);
    last = { size, value: found };
    const next = nextSize(size, excess / 5);
    if (next <= size || !worthRefining(grid, epsilon, excess)) break;
    size = next;
  }
  return best;
}

/** The Rényi bound on log δ(ε) in one direction, at most 0. */
function renyiBound(composed: Composition, direction: Direction, epsilon: number): number {
  if (epsilon >= largestLoss(composed, direction)) return -Infinity;
  if (composed.others.length > 0) return Infinity;
  const cumulant = cumulantOf(composed, direction);
  const s = bestTiltAt(cumulant, epsilon);
  return Math.min(0, cumulant.at(s).log - s * epsilon + logPeak(s));
}

/** log of the P-mass that every step may lose at its end: together 1e-6 of δ. */
function cutBelow({ mu, sampled, others }: Composition, logDelta: number): number {
  const steps = [...sampled, ...others].reduce((sum, { count }) => sum + count, mu > 0 ? 1 : 0);
  return logDelta - Math.log(steps) - 14;
}

interface Result {
  readonly size: number;
  readonly value: number;
}

/** What is left of the discretisation's excess, judged by how much the last refinement took away. */
function observedExcess(before: Result | undefined, now: Result): number {
  if (!before || now.size <= before.size) return 0;
  return Math.max(0, before.value - now.value) / ((now.size / before.size) ** 2 - 1);
}

/** False where rounding is charged more than discretisation, or where single steps alone fill a large grid. */
function worthRefining(grid: LossGrid, epsilon: number, excess: number): boolean {
  return grid.charges(epsilon) <= excess && grid.cells < 2 ** 17;
}

/** How small the relative excess of ε should become, and up to which grid size that is worth its time. */
const AIMS = [
  [2e-5, 2 ** 18],
  [2e-4, 2 ** 20],
  [5e-4, LARGEST],
] as const;

/** The size that the first affordable aim needs: the excess falls like 1/size², at worst like 1/size. */
function nextSize(size: number, excess: number): number {
  for (const [aim, most] of AIMS) {
    const wanted = size * 2 ** Math.ceil(Math.log2(Math.sqrt(Math.max(1, 1.1 * (excess / aim)))));
    if (wanted <= most) return wanted;
  }
  return LARGEST;
}
