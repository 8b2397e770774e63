// One attempt at the privacy loss distribution of a composition: a window, a grid, and what both cost.

import { raise } from '../../errors';
import { convolve, type Term } from './convolution';
import { type Cumulant, cumulantOf, type Direction, logPeak } from './cumulant';
import { discretise } from './discretisation';
import type { Composition, SampledSteps } from './composition';
import { logAddExp } from './special';

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
  const { mu, sampled, others } = composed;
  const options = { direction, width, tilt, logCut };
  const steps: SampledSteps[] = mu > 0 ? [...sampled, { q: 1, sigma: 1 / mu, count: 1 }] : [...sampled];
  const terms = steps.map((step) => {
    const alone = { mu: 0, sampled: [], others: [], binned: null };
    const once: Composition =
      step.q === 1 ? { ...alone, mu: 1 / step.sigma } : { ...alone, sampled: [{ ...step, count: 1 }] };
    const { log } = cumulantOf(once, direction, logCut).at(tilt);
    return { loss: discretise(step, { ...options, log }), count: step.count };
  });
  const pairs = others.map(({ pair, count }) => {
    const { log } = pair.tilted(direction, tilt, logCut);
    return { loss: pair.discretise({ ...options, log }), count };
  });
  return [...terms, ...pairs];
}

interface Window {
  readonly low: number;
  readonly high: number;
  /** The tilt s + r at which the Chernoff bound on the upper end was smallest. */
  readonly upperTilt: number;
}

/** Where the tilted sum lies but for a probability e^{-tail} on each side, by Chernoff's bound over a few tilts. */
function windowOf({ cumulant, tilt: s, tail }: Attempt): Window {
  const centre = cumulant.at(s);
  const scale = Math.sqrt((2 * tail) / centre.variance);
  let low = -Infinity;
  let high = Infinity;
  let upperTilt = s;
  for (const factor of [1 / 16, 1 / 8, 1 / 4, 1 / 2, 0.71, 1, 1.41, 2]) {
    const r = scale * factor;
    const above = (cumulant.at(s + r).log - centre.log + tail) / r;
    if (above < high) [high, upperTilt] = [above, s + r];
    low = Math.max(low, (centre.log - cumulant.at(s - r).log - tail) / r);
  }
  return { low, high, upperTilt };
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

/** log Σ mass_k e^{r l_k}, without overflow. */
function logMean(mass: Float64Array, start: number, width: number, r: number): number {
  let result = -Infinity;
  let block = 0;
  const top = start + (mass.length - 1) * width;
  for (let k = 0; k < mass.length; k++) block += mass[k]! * Math.exp(r * (start + k * width - top));
  result = Math.log(block) + r * top;
  return result;
}

interface TiltedSum {
  readonly mass: Float64Array;
  readonly first: number;
  readonly width: number;
  readonly tilt: number;
  /** log of the norm of the tilted masses. */
  readonly log: number;
  /** Rounding charge, in units of e^{log - sε}. */
  readonly rounding: number;
  /** log of the charges that do not depend on ε. */
  readonly logRest: number;
}

/**
 * Walks down the grid. With f = Σ_{l>=g} p_l e^{-s(l-g)} (1 - e^{-(l-g)}) and w = Σ_{l>=g} p_l e^{-(s+1)(l-g)} at grid
 * point g, δ(g) = e^{log - sg} f; one step down gives f' = e^{-sh} (f + (1 - e^{-h}) w), all terms positive.
 */
function smallestEpsilon(sum: TiltedSum, logDelta: number): number | undefined {
  const { mass, first, width: h, tilt: s, log, rounding, logRest } = sum;
  if (logRest >= logDelta) return undefined;
  const logLeft = logDelta + Math.log(-Math.expm1(logRest - logDelta)); // δ minus the constant charges
  const decay = Math.exp(-s * h);
  const decay1 = Math.exp(-(s + 1) * h);
  const rise = -Math.expm1(-h);
  let f = 0;
  let w = 0;
  for (let k = mass.length - 1; k >= 0; k--) {
    const grid = (first + k) * h;
    const nextF = decay * (f + rise * w);
    if (log - s * grid + Math.log(nextF + rounding) > logLeft) {
      if (k === mass.length - 1) return undefined;
      // Between grid and grid + h: δ(grid + h - x) = e^{log - s (grid + h)} (f + w (1 - e^{-x})), plus the charge.
      const room = Math.exp(logLeft - log + s * (grid + h)) - f - rounding / decay;
      return room <= 0 ? grid + h : grid + h + Math.log1p(-Math.min(room / w, rise));
    }
    if (grid <= 0) return 0;
    f = nextF;
    w = mass[k]! + decay1 * w;
  }
  return first * h;
}

/** The bound on log δ(ε). */
function boundAt(sum: TiltedSum, epsilon: number): number {
  const { mass, first, width: h, tilt: s, log, rounding, logRest } = sum;
  // Below the window nothing is known but δ <= 1: its masses have wrapped around.
  if (epsilon < first * h) return 0;
  let f = 0;
  for (let k = mass.length - 1; k >= 0; k--) {
    const above = (first + k) * h - epsilon;
    if (above <= 0) break;
    f += mass[k]! * Math.exp(-s * above) * -Math.expm1(-above);
  }
  return logAddExp(log - s * epsilon + Math.log(f + rounding), logRest);
}
