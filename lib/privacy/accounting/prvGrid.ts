// One attempt of the PRV accountant: the composed, mean-preserving grid, with bounds on δ and ε from both sides.
//
// Let Y = Σ Y_i be the privacy loss, A the event that no Y_i was cut off, Ỹ the sum on the grid. Given A, Y - Ỹ is a sum of independent
// variables of mean 0, each in an interval of length h, so it exceeds e with probability at most η, likewise downwards: by Hoeffding's
// inequality for e = h √(k log(1/η) / 2), as in the paper; by Bernstein's, which knows their variance (about h²/12), for an e that is √3
// times smaller where k is large. (1 - e^{ε - y})_+ rises with y and lies in [0, 1], hence
//   δ_Y(ε) <= δ_Ỹ(ε - e) + η + P(not A),      δ_Y(ε) >= δ_Ỹ(ε + e) - η      (Ỹ with its mass on A, which is below 1)
// This is Theorem 3.3 of arXiv 2106.02848 with its terms apart. δ_Ỹ is computed by FFT under the tilt e^{sL}: then rounding and what
// wraps around the window are relative to δ, where the paper's are absolute and end at about 1e-11.

import { centredGrid, spanOf } from './centredGrid';
import { type Composition, once, stepsOf } from './composition';
import { convolve } from './convolution';
import { type Cumulant, cumulantOf, type Direction, logPeak } from './cumulant';
import { MASS_ERROR } from './discretisation';
import { logAddExp } from './special';
import { boundAt, certainEpsilon, logMean, smallestEpsilon, type TiltedSum } from './tiltedSum';
import { windowOf } from './window';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

const LARGEST = 2 ** 20;

const SMALLEST = 2 ** 10;

/** Points of a single step at most, whose losses may reach far beyond the window. */
const MOST_OF_A_STEP = 2 ** 22;

export interface PrvAttempt {
  readonly composed: Composition;
  readonly direction: Direction;
  /** The cumulant function without the outputs that are cut off: chooses the window. */
  readonly cumulant: Cumulant;
  /** log of the P-mass of one step that may be cut off on each side. */
  readonly logCut: number;
  readonly tilt: number;
  /** The error e of ε to aim at; larger where the largest window does not allow it. */
  readonly aim: number;
  /** log η. */
  readonly logFailure: number;
  readonly tail: number;
  /** Points of the largest window. Default 2^20. */
  readonly most?: number;
}

/** What is certain, and the value in between that is likely. */
export interface Bounds {
  readonly lower: number;
  readonly estimate: number;
  readonly upper: number;
}

export interface PrvGrid {
  /** e: how far ε may be off because losses were rounded to the grid. */
  readonly error: number;
  /** The ε >= 0 that is likely to belong to exp(logDelta); undefined where the window does not show it. */
  estimate(logDelta: number): number | undefined;
  /** The ε >= 0 that belongs to exp(logDelta); undefined where the window does not show it. */
  epsilon(logDelta: number): Bounds | undefined;
  /** log δ(ε), at most 0. */
  logDelta(epsilon: number): Bounds;
}

/** Discretises, composes and bounds the rest. */
export function prvGrid(attempt: PrvAttempt): PrvGrid {
  const { composed, direction, logCut, tilt: s, aim, logFailure, most = LARGEST } = attempt;
  const { low, high, upperTilt, lowerTilt } = windowOf(attempt);
  const steps = stepsOf(composed);
  const count = steps.reduce((sum, step) => sum + step.count, 0);
  const perWidth = deviation(count, 1 / 12, logFailure, 1); // e / h, as far as can be known before
  const wanted = ((high - low) * perWidth) / aim + 2;
  const size = Math.min(most, Math.max(SMALLEST, 2 ** Math.ceil(Math.log2(wanted))));
  const farthest = Math.max(...steps.map((step) => spanOf(step, direction, logCut)));
  const width = Math.max(aim / perWidth, (high - low) / (size - 2), farthest / MOST_OF_A_STEP);
  const terms = steps.map((step) => {
    const { log } = cumulantOf(once(step), direction, logCut).at(s);
    return { count: step.count, ...centredGrid(step, { direction, width, tilt: s, log, logCut }) };
  });
  const add = (f: (term: (typeof terms)[number]) => number): number =>
    terms.reduce((sum, term) => sum + term.count * f(term), 0);
  const shift = add(({ offset }) => offset);
  const log = add(({ loss }) => loss.log);
  // A mean is right to MASS_ERROR of a width, a boundary to the rounding of a loss.
  const error =
    deviation(count, add(({ variance }) => variance) / count, logFailure, width) +
    add(({ loss }) => loss.lossError + width * MASS_ERROR);
  const first = Math.floor((low - shift) / width);
  const { mass, error: entryError } = convolve(terms, first, size);
  const growth = (r: number): number => add(({ loss }) => logMean(loss.mass, loss.first * width, width, r));
  const top = (first + size) * width;
  const logAbove = log + growth(upperTilt - s) - upperTilt * top; // P-mass above the window
  // Tilted mass on either side of the window wraps around to its other end.
  const wrapped =
    Math.exp(growth(upperTilt - s) - (upperTilt - s) * top) +
    Math.exp(growth(lowerTilt - s) + (s - lowerTilt) * first * width);
  const logOutside = terms.reduce(
    (sum, { loss, count: n }) => logAddExp(sum, Math.log(n) + loss.logInfinity),
    -Infinity,
  );
  const rounding = entryError * (1 / (width * s * (s + 1)) + Math.exp(logPeak(s)));
  const slack = count * MASS_ERROR;
  const sum = { mass, first, width, tilt: s };
  const above: TiltedSum = {
    ...sum,
    log: log + slack,
    rounding,
    logRest: logAddExp(logAddExp(logAbove, logOutside), logFailure),
  };
  const centre: TiltedSum = { ...sum, log, rounding: 0, logRest: -Infinity };
  const below: TiltedSum = {
    ...sum,
    log: log - slack,
    rounding: -rounding - wrapped * Math.exp(logPeak(s)),
    logRest: -Infinity,
  };
  return {
    error,
    estimate(logDelta) {
      const found = smallestEpsilon(centre, logDelta, -shift);
      return found === undefined ? undefined : Math.max(0, found + shift);
    },
    epsilon(logDelta) {
      const upper = smallestEpsilon(above, logDelta, -shift - error);
      const estimate = smallestEpsilon(centre, logDelta, -shift);
      if (upper === undefined || estimate === undefined) return undefined;
      const lower = certainEpsilon(below, logAddExp(logDelta, logFailure));
      return ordered(lower + shift - error, estimate + shift, upper + shift + error, 0);
    },
    logDelta(epsilon) {
      const certain = Math.exp(boundAt(below, epsilon - shift + error)) - Math.exp(logFailure);
      const lower = epsilon - shift < first * width ? -Infinity : Math.log(Math.max(0, certain));
      return ordered(
        lower,
        boundAt(centre, epsilon - shift),
        Math.min(0, boundAt(above, epsilon - shift - error)),
        -Infinity,
      );
    },
  };
}

/** What a sum of `count` variables of mean 0 and of this mean variance, each in an interval of length h, exceeds with probability η at most. */
function deviation(count: number, variance: number, logFailure: number, h: number): number {
  const bernstein = (-logFailure * h) / 3;
  return Math.min(
    h * Math.sqrt((-logFailure * count) / 2),
    bernstein + Math.sqrt(bernstein ** 2 - 2 * logFailure * count * variance),
  );
}

/** The estimate between its bounds, and nothing below `least`. */
function ordered(lower: number, estimate: number, upper: number, least: number): Bounds {
  const high = Math.max(least, upper);
  const low = Math.min(high, Math.max(least, lower));
  return { lower: low, estimate: Math.min(high, Math.max(low, estimate)), upper: high };
}
