// One attempt at the privacy loss distribution of a composition: a window, a grid, and what both cost.

import { raise } from '../../errors';
import { convolve, type Term } from './convolution';
import { type Cumulant, cumulantOf, type Direction, logPeak } from './cumulant';
import { discretise } from './discretisation';
import { type Composition, once, stepsOf } from './composition';
import { logAddExp } from './special';
import { boundAt, logMean, smallestEpsilon } from './tiltedSum';
import { windowOf } from './window';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

export interface Attempt {
  readonly composed: Composition;
  readonly direction: Direction;
  /** The cumulant function without the outputs that are cut off: chooses the window. */
  readonly cumulant: Cumulant;
  /** log of the P-mass of one step that is cut off and charged to δ. */
  readonly logCut: number;
  /** Tilt e^{sL} under which the grid was composed. Any value is sound; near the saddle point it is also sharp. */
  readonly tilt: number;
  /** Grid points in the window: a power of two. */
  readonly size: number;
  /** Tilted probability e^{-tail} that the window may leave out on each side. */
  readonly tail: number;
}

/** Upper bounds of δ(ε), one direction, valid for all ε at once. */
export interface LossGrid {
  /** By how much discretisation raised the bound on log δ near the tilt's own ε (predicted from K(s), not certified). */
  readonly excess: number;
  /** Points of the single steps' grids together: the part of the work that `size` does not bound. */
  readonly cells: number;
  /** The share of rounding, truncation and aliasing in the bound on δ(ε). */
  charges(epsilon: number): number;
  /** The smallest ε >= 0 in the window at which the bound on δ is at most exp(logDelta); undefined when none is. */
  epsilon(logDelta: number): number | undefined;
  /** The bound on log δ(ε), at most 0. */
  logDelta(epsilon: number): number;
}

/** One step on the grid, and how often it is taken. The Gaussian part of a composition is one step of rate 1. */
function discretised({ composed, direction, logCut, tilt }: Attempt, width: number): Term[] {
  const { others } = composed;
  const options = { direction, width, tilt, logCut };
  const steps = stepsOf(composed);
  const terms = steps.map((step) => {
    const { log } = cumulantOf(once(step), direction, logCut).at(tilt);
    return { loss: discretise(step, { ...options, log }), count: step.count };
  });
  const pairs = others.map(({ pair, count }) => {
    const { log } = pair.tilted(direction, tilt, logCut);
    return { loss: pair.discretise({ ...options, log }), count };
  });
  return [...terms, ...pairs];
}

/** Discretises, composes and bounds the rest; about 30 ns a grid point and 1 µs a cell of a single step. */
export function lossGrid(attempt: Attempt): LossGrid {
  const { tilt: s, size } = attempt;
  const { low, high, upperTilt } = windowOf(attempt);
  const width = (high - low) / (size - 2);
  const first = Math.floor(low / width);
  let log = 0;
  let excess = 0;
  let logAlias = -upperTilt * (first + size) * width;
  let logInfinity = -Infinity;
  let slack = 0;
  const terms = discretised(attempt, width);
  for (const { loss, count } of terms) {
    log += count * loss.log;
    excess += count * loss.excess;
    logAlias += count * (loss.log + logMean(loss.mass, loss.first * width, width, upperTilt - s));
    logInfinity = logAddExp(logInfinity, Math.log(count) + loss.logInfinity);
    slack += count * loss.lossError;
  }
  const { mass, error } = convolve(terms, first, size);
  // Rounding: each entry of the window may be too small by `error`, and Σ_j e^{-sx}(1 - e^{-x}) over x = jh + x0 is at
  // most ∫/h plus the peak. Aliasing and truncation: all that mass is taken as loss +∞.
  const rounding = error * (1 / (width * s * (s + 1)) + Math.exp(logPeak(s)));
  const logRest = logAddExp(logAlias, logInfinity);
  // A comparison with NaN is false, which below would read as «within the budget».
  if (!Number.isFinite(log + rounding + slack) || Number.isNaN(logRest)) {
    raise('ERR_ACCOUNTING', 'pld: the privacy loss of these events leaves the range of double precision.');
  }
  const sum = { mass, first, width, tilt: s, log, rounding, logRest };
  return {
    excess,
    cells: terms.reduce((sum, { loss }) => sum + loss.mass.length, 0),
    epsilon(logDelta) {
      const found = smallestEpsilon(sum, logDelta);
      return found === undefined ? undefined : Math.max(0, found + slack);
    },
    charges: (epsilon) => Math.exp(logAddExp(log - s * epsilon + Math.log(rounding), logRest) - boundAt(sum, epsilon)),
    logDelta: (epsilon) => Math.min(0, boundAt(sum, epsilon - slack)),
  };
}
