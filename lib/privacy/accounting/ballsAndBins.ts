// Balls-and-bins sampling: a certified bound on the whole run, as one mechanism, by convex order.
//
// Each record falls into one of b bins, once for the whole run of E passes (Chua et al. 2025, arXiv 2412.16802). The dominating pair
// is P = 1/b Σ_j N(√E e_j, σ² I), Q = N(0, σ² I). With m = √E/σ its likelihood ratio is S/b, S = Y_1 + … + Y_b, where under Q the
// Y_j are independent and log-normal, e^{m z - m²/2} of mean 1; under P one of them, say Y_1, is size-biased (z has mean m). So
//   remove: δ(ε) = E_Q[(S/b - e^ε)_+] = E_P[(1 - e^ε b/S)_+],     add: δ(ε) = E_Q[(1 - e^ε S/b)_+]
// Both are convex in every Y_j. Moving the mass of each cell [kh, (k+1)h] to its two ends so that its mean stays therefore
// raises both: the distribution of S on the grid, by FFT, gives upper bounds for all ε at once. What lies above the grid
// counts as infinite in `remove`; in `add` it counts fully, or as nothing where (…)_+ is 0 there. Rounding and aliasing are charged.

import { convolve, type Term } from './convolution';
import { MASS_ERROR, RULE, sumOf } from './discretisation';
import type { BinnedRun } from './composition';
import { gaussianEpsilon, gaussianLogDelta } from './gaussian';
import { LOG_SQRT_2PI, logAddExp, logPhi } from './special';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

const COARSE = 2 ** 13;
const FINE = 2 ** 18;

/** Windows to try around a known ε, in units of b e^ε: wide ones for heavy tails, narrow ones for many bins. */
const AROUND = [1.5, 3, 8, 24, 64];

/** Windows of the first search, evenly spread in the logarithm. */
const MOST_WINDOWS = 40;

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
  let best = plain;
  let window = 0;
  const attempt = (size: number, units: number): boolean => {
    const curve = binnedCurve(run, size, units * run.bins);
    const high = Math.min(best, Math.log(units) - 1e-9);
    const found = curve(high) > delta ? Infinity : smallest(curve, delta, high);
    if (found < best || window === 0) window = units;
    best = Math.min(best, found);
    return found < Infinity;
  };
  const span = plain + Math.log(64);
  const count = Math.min(MOST_WINDOWS, Math.ceil(span / Math.LN2));
  for (let j = 1; j <= count; j++) attempt(coarse, Math.exp((j / count) * span));
  for (const factor of AROUND) attempt(4 * coarse, factor * Math.exp(best));
  const resolved = best === 0 || attempt((FINE / COARSE) * coarse, window);
  return { bound: best, resolved };
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
    const found = Math.log(binnedCurve(run, size, units * run.bins * Math.exp(epsilon))(epsilon));
    const better = found < best;
    if (better) [best, window] = [found, units];
    return better;
  };
  for (const factor of AROUND) attempt(4 * COARSE, factor);
  const resolved = attempt(FINE, window);
  return { bound: best, resolved };
}

/** The smallest ε in [0, high] at which a falling curve is at most δ. */
function smallest(curve: (epsilon: number) => number, delta: number, high: number): number {
  if (curve(0) <= delta) return 0;
  let low = 0;
  for (let k = 0; k < 40 && high - low > 1e-9 * high; k++) {
    const middle = (low + high) / 2;
    if (curve(middle) <= delta) high = middle;
    else low = middle;
  }
  return high;
}

/**
 * Upper bounds of δ(ε), the larger of both directions, from a grid of `size` points over sums below `window`.
 * Single values are kept up to half the window, so that sums of several large ones rarely wrap around.
 */
export function binnedCurve({ bins, mu }: BinnedRun, size: number, window: number): (epsilon: number) => number {
  const h = window / size;
  const { mass: under, edge } = valuesUnderQ(mu, h, size / 2);
  const biased = under.map((part, k) => part * k * h);
  const [massQ, massP] = [sumOf(under), sumOf(biased)];
  const term = (mass: Float64Array, total: number, count: number): Term => ({
    loss: { mass: mass.map((part) => part / total), first: 0, log: 0, excess: 0, logInfinity: -Infinity, lossError: 0 },
    count,
  });
  const q = term(under, massQ, bins - 1);
  const sumsP = convolve([q, term(biased, massP, 1)], 0, size);
  const sumsQ = convolve([term(under, massQ, bins)], 0, size);
  // log(kept) <= 0 up to rounding: the share of all values that the grid holds.
  const keptP = Math.exp((bins - 1) * Math.log(massQ) + Math.log(massP) + 2 * bins * MASS_ERROR);
  const keptQ = Math.exp(bins * Math.log(massQ) + 2 * bins * MASS_ERROR);
  const logDropped = logAddExp(Math.log(bins - 1) + logPhi(-edge), logPhi(mu - edge));
  const dropped = bins * Math.exp(logPhi(-edge)); // under Q
  const largest = (size / 2 - 1) * h;
  const rest = Math.exp(logDropped) + Math.exp(logAlias(under, biased, h, bins, window)) + 1e-300;
  return (epsilon) => {
    const level = bins * Math.exp(epsilon);
    let removed = 0;
    for (let k = size - 1; k * h > level; k--) removed += (sumsP.mass[k]! + sumsP.error) * (1 - level / (k * h));
    const floor = bins * Math.exp(-epsilon);
    let added = 0;
    let below = 0;
    for (let k = 0; k < size && k * h < floor; k++) {
      const part = sumsQ.mass[k]! + sumsQ.error;
      added += part * (1 - (k * h) / floor);
      below += part;
    }
    // The mean of a cell is right to MASS_ERROR: that moves S by as much, and (1 - e^ε S/b)_+ by e^ε times it.
    const shift = 2 * Math.exp(epsilon) * MASS_ERROR * below;
    const seen = largest >= floor ? 0 : dropped; // single values beyond the grid whose sum may still be below the floor
    return Math.min(1, Math.max(removed * keptP + rest, added * keptQ + shift + seen));
  };
}

interface Values {
  readonly mass: Float64Array;
  /** The z above which nothing was kept. */
  readonly edge: number;
}

/** The distribution under Q of one value, moved to the multiples of h in [0, (points - 1) h] cell by cell, means kept. */
function valuesUnderQ(m: number, h: number, points: number): Values {
  const mass = new Float64Array(points);
  const quantile = (value: number): number => Math.log(value) / m + m / 2;
  let z = quantile(h);
  const inside = Math.exp(logPhi(z));
  const first = Math.min(inside, Math.exp(logPhi(z - m) - Math.log(h)) * (1 + MASS_ERROR)); // mean of the cell over h
  mass[0]! += inside - first;
  mass[1]! += first;
  for (let k = 1; k + 1 < points; k++) {
    const next = quantile((k + 1) * h);
    if (z > 37) break; // beyond, densities underflow: dropped, and charged like what lies above the grid
    const parts = Math.max(1, Math.ceil(2 * (next - z) * (Math.max(Math.abs(z), Math.abs(next)) + m + 1)));
    const length = (next - z) / parts;
    let all = 0;
    let above = 0;
    for (let j = 0; j < parts; j++) {
      for (const [node, weight] of RULE) {
        const at = z + (j + node) * length;
        const part = weight * length * Math.exp((-at * at) / 2 - LOG_SQRT_2PI);
        all += part;
        above += part * k * Math.expm1(m * (at - z)); // (Y - kh) / h
      }
    }
    const upper = Math.min(Math.max(above * (1 + MASS_ERROR) + MASS_ERROR * all, 0), all);
    mass[k]! += all - upper;
    mass[k + 1]! += upper;
    z = next;
  }
  return { mass, edge: z };
}

/** log of a bound on the P-mass of sums of kept values that reach the window's end: Chernoff's, over a few exponents. */
function logAlias(under: Float64Array, biased: Float64Array, h: number, bins: number, window: number): number {
  let best = 0;
  for (const factor of [4, 8, 16, 32, 64, 128]) {
    const theta = factor / window;
    let [q, p] = [0, 0];
    for (let k = 0; k < under.length; k++) {
      const grown = Math.exp(theta * k * h);
      q += under[k]! * grown;
      p += biased[k]! * grown;
    }
    best = Math.min(best, (bins - 1) * Math.log(q) + Math.log(p) - factor);
  }
  return best + 2 * bins * MASS_ERROR;
}
