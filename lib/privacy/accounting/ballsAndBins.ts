// Balls-and-bins sampling: a certified bound on the whole run, as one mechanism, by convex order.
//
// Each record falls into one of b bins, once for the whole run of E passes (Chua et al. 2025, arXiv 2412.16802). The dominating pair
// is P = 1/b Σ_j N(√E e_j, σ² I), Q = N(0, σ² I). With m = √E/σ its likelihood ratio is S/b, S = Y_1 + … + Y_b, where under Q the
// Y_j are independent and log-normal, e^{m z - m²/2} of mean 1; under P one of them, say Y_1, is size-biased (z has mean m). So
//   remove: δ(ε) = E_Q[(S/b - e^ε)_+] = E_P[(1 - e^ε b/S)_+],     add: δ(ε) = E_Q[(1 - e^ε S/b)_+]
// Both are convex in every Y_j. Moving the mass of each cell [kh, (k+1)h] to its two ends so that its mean stays therefore
// raises both: the distribution of S on the grid, by FFT, gives upper bounds for all ε at once. What lies above the grid
// counts as infinite in `remove`; in `add` it counts fully, or as nothing where (…)_+ is 0 there. Rounding and aliasing are charged.
// Sums are composed under a tilt e^{θS} towards the level that δ asks for, in `add` downwards: rounding is then relative to δ. Any θ is sound.

import { addedCurve, removedCurve } from './binnedCurve';
import type { BinnedRun } from './composition';
import { gaussianEpsilon, gaussianLogDelta } from './gaussian';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

const COARSE = 2 ** 13;
const FINE = 2 ** 18;

/** Windows to try around a known ε, in units of b e^ε: wide ones for heavy tails, narrow ones for many bins. */
const AROUND = [1.5, 3, 8, 24, 64];

/** Windows of the first search, evenly spread in the logarithm. */
const MOST_WINDOWS = 40;

/** Windows of direction `add`, in units of b: single values up to their half are kept, and those above b do not count. */
const ADDED = [2.5, 1.25];

/** ε beyond which e^ε b leaves doubles; there is no amplification worth having there. */
const LARGEST_EPSILON = 500;

/** A bound, and whether the finest grid could show it: else rounding, which grows with the bins, hides δ. */
interface Attempted {
  readonly bound: number;
  readonly resolved: boolean;
}

/** Numbers of bins that are tried. */
const MOST_TRIES = 6;

/**
 * The least of the bounds for `run.bins` and, while they are not resolved, for fewer. The mean of b such values is the mean of fewer of them
 * given S (a reverse martingale), so by Jensen's inequality every convex function of S/b is largest for the fewest bins.
 *
 * @param plain  The bound without amplification.
 */
function leastOver({ bins, mu }: BinnedRun, plain: number, attempt: (run: BinnedRun) => Attempted): number {
  let best = plain;
  let fewer = bins;
  for (let tries = 0; tries < MOST_TRIES && fewer >= 2; tries++) {
    const { bound, resolved } = attempt({ bins: fewer, mu });
    const passed = bound > best; // fewer bins have begun to cost more than rounding did
    best = Math.min(best, bound);
    if (resolved || passed) break;
    fewer = Math.ceil(fewer / (best < plain ? 2 : 8));
  }
  return best;
}

/** An upper bound on the smallest ε >= 0 with δ(ε) <= exp(logDelta). Any window gives a valid one: the smallest counts. */
export function binnedEpsilon(run: BinnedRun, logDelta: number): number {
  // Joint convexity: mixing over the bins does not exceed the Gaussian mechanism of a known bin.
  const plain = gaussianEpsilon(run.mu, logDelta);
  if (plain === 0 || plain > LARGEST_EPSILON) return plain;
  return leastOver(run, plain, (fewer) => epsilonBound(fewer, plain, Math.exp(logDelta)));
}

/** About what {@link binnedEpsilon} answers, from its smallest grids alone. */
export function binnedGuess(run: BinnedRun, logDelta: number): number {
  const plain = gaussianEpsilon(run.mu, logDelta);
  if (plain === 0 || plain > LARGEST_EPSILON) return plain;
  return leastOver(run, plain, (fewer) => epsilonBound(fewer, plain, Math.exp(logDelta), COARSE / 4));
}

function epsilonBound(run: BinnedRun, plain: number, delta: number, coarse = COARSE): Attempted {
  const fine = (FINE / COARSE) * coarse;
  const aim = { logDelta: Math.log(delta) };
  let best = plain;
  let window = 0;
  const attempt = (size: number, units: number): boolean => {
    const curve = removedCurve(run, size, units * run.bins, aim);
    const high = Math.min(best, Math.log(units) - 1e-9);
    const found = curve(high) > delta ? Infinity : smallest(curve, delta, high);
    if (found < best || window === 0) window = units;
    best = Math.min(best, found);
    return found < Infinity;
  };
  const span = plain + Math.log(64);
  const count = Math.min(MOST_WINDOWS, Math.ceil(span / Math.LN2));
  for (let j = 1, wider = 0; j <= count && wider < 3; j++) {
    const before = best;
    const shown = attempt(coarse, Math.exp((j / count) * span));
    wider = best < before ? 0 : wider + (shown || wider > 0 ? 1 : 0); // past the best window cells only become coarser
  }
  for (const factor of AROUND) attempt(4 * coarse, factor * Math.exp(best));
  const resolved = best === 0 || attempt(fine, window);
  let added = plain;
  for (const [size, units] of triesOf(coarse)) {
    const curve = addedCurve(run, size, units, aim);
    if (curve(best) <= delta) return { bound: best, resolved };
    if (curve(added) <= delta) added = smallest(curve, delta, added);
  }
  return { bound: added, resolved: resolved && added < plain };
}

/** Sizes and windows of direction `add`, the quickest first. */
function triesOf(coarse: number): (readonly [number, number])[] {
  return [coarse, (FINE / COARSE) * coarse].flatMap((size) => ADDED.map((units) => [size, units] as const));
}

/** An upper bound on log δ(ε). */
export function binnedLogDelta(run: BinnedRun, epsilon: number): number {
  const plain = Math.min(0, gaussianLogDelta(run.mu, epsilon));
  if (epsilon > LARGEST_EPSILON) return plain;
  return leastOver(run, plain, (fewer) => logDeltaBound(fewer, plain, epsilon));
}

function logDeltaBound(run: BinnedRun, plain: number, epsilon: number): Attempted {
  let best = plain;
  let window = AROUND[0]!;
  const attempt = (size: number, units: number): boolean => {
    const found = Math.log(removedCurve(run, size, units * run.bins * Math.exp(epsilon), { epsilon })(epsilon));
    const better = found < best;
    if (better) [best, window] = [found, units];
    return better;
  };
  for (const factor of AROUND) attempt(4 * COARSE, factor);
  const resolved = attempt(FINE, window);
  let added = 0;
  for (const [size, units] of triesOf(COARSE)) {
    added = Math.min(added, Math.log(addedCurve(run, size, units, { epsilon })(epsilon)));
    if (added <= best) return { bound: best, resolved };
  }
  return { bound: Math.min(plain, added), resolved: resolved && added < plain };
}

/** About the smallest ε in [0, high] at which a falling curve is at most δ, from above; it is so at `high`. */
function smallest(curve: (epsilon: number) => number, delta: number, high: number): number {
  const excess = (epsilon: number): number => {
    const value = curve(epsilon);
    const log = Math.log(value / delta);
    return value <= delta ? Math.min(0, Math.max(-50, log)) : Math.max(1e-300, log); // rounding of the logarithm does not decide
  };
  let [low, above] = [0, excess(0)];
  if (above <= 0) return 0;
  let below = excess(high);
  for (let k = 0; k < 60 && high - low > 1e-9 * high; k++) {
    // False position; where one end stays its value counts half (the Illinois rule), and now and then the middle is taken.
    const chord = low + ((high - low) * above) / (above - below);
    const inside = chord > low && chord < high && k % 8 !== 7;
    const next = inside ? chord : (low + high) / 2;
    const value = excess(next);
    if (value <= 0) [high, below, above] = [next, value, above / 2];
    else [low, above, below] = [next, value, below / 2];
    // A point this close to the root has the rest of the bracket on one side: a step of the tolerance across closes it.
    if (high - low > 2e-9 * high && Math.abs(value) < 1e-9 * (1 + Math.abs(Math.log(delta)))) {
      const across = value <= 0 ? high * (1 - 5e-10) : low + 5e-10 * high;
      const there = excess(across);
      if (there <= 0) [high, below] = [across, there];
      else [low, above] = [across, there];
    }
  }
  return high;
}
