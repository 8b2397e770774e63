// One step's privacy loss on a grid, pessimistically: connect the dots.
//
// The hockey-stick curve of the step is exact at the grid points l_i = i h and replaced by its chords in between, which
// lie above it (Doroshenko et al. 2022, arXiv 2207.04380). For each cell [l_i, l_{i+1}] this means: the mass under Q
// moves to the two ends so that the masses under P and Q both stay. With Q-mass A of the cell and
// G = ∫ (e^{L-l_i} - 1) dQ the upper end gets D = G / (e^h - 1) and the lower end A - D. Direction `remove` then has the
// P-mass w_i e^{l_i} at l_i, direction `add` has w_i at -l_i: one set of numbers serves both.
//
// Every number here is an integral of positive terms, so it has full relative accuracy however small h is; taking
// differences of the normal distribution function would lose 1/h² of it.

import type { Direction } from './cumulant';
import type { SampledSteps } from './composition';
import { lossInverse, privacyLoss, REACH, upperOutput } from './loss';
import { LOG_SQRT_2PI, logAddExp, logPhi, normalQuantile } from './special';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/** Nodes and weights of the 5-point Gauss-Legendre rule on [0, 1]. */
export const RULE = [
  [0.046910077030668003601186560850303517, 0.118463442528094543757132020359958681],
  [0.23076534494715845448184278964989559, 0.239314335249683234020645757417819096],
  [0.5, 0.284444444444444444444444444444444444],
  [0.76923465505284154551815721035010441, 0.239314335249683234020645757417819096],
  [0.953089922969331996398813439149696483, 0.118463442528094543757132020359958681],
] as const;

/** Bound on the relative rounding error of one loss value, in units of the largest loss on the grid. */
export const LOSS_ERROR = 2 ** -49;

/** Bound on the relative rounding and quadrature error of each mass; measured 3e-15. */
export const MASS_ERROR = 1e-13;

/** The privacy loss of one step on the grid, tilted by e^{sL} and normalised: what is composed. */
export interface DiscreteLoss {
  /** `mass[k]` is the tilted P-mass at loss (first + k) h; they add up to 1. */
  readonly mass: Float64Array;
  readonly first: number;
  /** log of the factor taken out: log Σ P(l) e^{sl} over the finite losses, the grid's log K(s). */
  readonly log: number;
  /** By how much rounding up raised log K(s), over the losses that are not cut off. */
  readonly excess: number;
  /** log of the P-mass at loss +∞: the truncated tail, which counts fully towards δ. */
  readonly logInfinity: number;
  /** Bound on |rounding error| of one loss value. */
  readonly lossError: number;
}

export interface GridOptions {
  readonly direction: Direction;
  /** Cell width h. */
  readonly width: number;
  /** Tilt s > 0. */
  readonly tilt: number;
  /** log K(s) of the undiscretised loss: keeps numbers within range. */
  readonly log: number;
  /** log of the P-mass that may be cut off and charged to δ. */
  readonly logCut: number;
}

/** Puts the privacy loss of one step (0 < q <= 1) on the grid of all multiples of `width`, never below the truth. */
export function discretise(step: SampledSteps, options: GridOptions): DiscreteLoss {
  const { q, sigma } = step;
  const { direction, width: h, tilt, log, logCut } = options;
  const remove = direction === 'remove';
  const alpha = remove ? 1 + tilt : -tilt;
  const lowest = q === 1 ? 1 : 0; // the lower of the two centres of P
  const bottom = remove ? lowest - REACH * sigma : sigma * normalQuantile(logCut);
  const end = remove ? upperOutput(q, sigma, logCut) : negligibleFrom(step, tilt, log);
  const start = Math.floor(privacyLoss(q, sigma, bottom) / h);
  const stop = Math.max(start + 1, Math.ceil(privacyLoss(q, sigma, end) / h));
  const mass = new Float64Array(stop - start + 1); // tilted: w_i e^{αl_i - log}, by increasing L
  const growth = Math.expm1(h);
  let exact = 0;
  let x = bottom;
  for (let i = start; i < stop; i++) {
    const next = i + 1 < stop ? lossInverse(q, sigma, (i + 1) * h) : end; // a cell may be far wider than the cut
    const { scale, inside, above, tilted } = integrateCell(step, x, next, i * h, i === start, alpha);
    // A rounding error may move the share of the two ends: it is charged in the direction that raises the loss.
    const raised = above / growth + (remove ? MASS_ERROR : -MASS_ERROR) * inside;
    const upper = Math.min(Math.max(raised, 0), inside);
    const level = scale + alpha * i * h - log;
    mass[i - start]! += (inside - upper) * Math.exp(level);
    mass[i - start + 1]! += upper * Math.exp(level + alpha * h);
    exact += tilted * Math.exp(level);
    x = next;
  }
  const excess = Math.log(sumOf(mass) / exact);
  // What lies beyond the cells moves up: to the lowest grid point that is not below it, or to infinity.
  let logInfinity: number;
  if (remove) {
    mass[1]! += Math.exp(logPhi((bottom - lowest) / sigma) + tilt * (start + 1) * h - log);
    logInfinity = logAddExp(Math.log1p(-q) + logPhi(-x / sigma), Math.log(q) + logPhi((1 - x) / sigma));
  } else {
    mass[stop - start - 1]! += Math.exp(logPhi(-x / sigma) - tilt * (stop - 1) * h - log);
    logInfinity = logPhi(bottom / sigma);
    mass.reverse();
  }
  const total = sumOf(mass);
  return {
    mass: mass.map((part) => part / total),
    first: remove ? start : -stop,
    log: log + Math.log(total) + MASS_ERROR,
    excess,
    logInfinity,
    lossError: Math.max(-start, stop) * h * LOSS_ERROR,
  };
}

/** The sum of all masses. */
export function sumOf(mass: Float64Array): number {
  return mass.reduce((sum, part) => sum + part, 0);
}

interface Cell {
  /** The masses below are to be multiplied by e^{scale}. */
  readonly scale: number;
  /** A = ∫ dQ over the cell. */
  readonly inside: number;
  /** G = ∫ (e^{L - low} - 1) dQ over the cell. */
  readonly above: number;
  /** ∫ e^{α (L - low)} dQ over the cell. */
  readonly tilted: number;
}

/** The two integrals over the outputs from x to `end`, where the loss runs from `low` (or above it when `partial`). */
function integrateCell(
  { q, sigma }: SampledSteps,
  x: number,
  end: number,
  low: number,
  partial: boolean,
  alpha: number,
): Cell {
  const s2 = sigma * sigma;
  const nearest = Math.min(Math.max(0, x), end); // where the density is largest
  const peak = -(nearest * nearest) / (2 * s2);
  const steepness = (Math.max(Math.abs(x), Math.abs(end)) + 1) / s2 + 1 / sigma;
  const parts = Math.max(1, Math.ceil(2 * (end - x) * steepness)); // e^{±1/2} a part: the rule is exact to 4e-16
  const length = (end - x) / parts;
  let gap = partial ? Math.max(0, Math.expm1(privacyLoss(q, sigma, x) - low)) : 0; // e^{L - low} - 1 at the part's start
  let inside = 0;
  let above = 0;
  let tilted = 0;
  for (let k = 0; k < parts; k++) {
    const from = x + k * length;
    const rate = Math.exp(Math.log(q) + (from - 0.5) / s2 - low); // e^{L} grows by rate (e^{d/σ²} - 1) e^{low}
    const density = Math.exp(-(from * from) / (2 * s2) - peak) * length;
    for (const [node, weight] of RULE) {
      const d = node * length;
      const m = weight * density * Math.exp((-d * (from + d / 2)) / s2);
      const excess = gap + rate * Math.expm1(d / s2);
      inside += m;
      above += m * excess;
      tilted += m * Math.exp(alpha * Math.log1p(excess));
    }
    gap += rate * Math.expm1(length / s2);
  }
  return { scale: peak - LOG_SQRT_2PI - Math.log(sigma), inside, above, tilted };
}

/** The output above which the tilted mass of direction `add` is too small to matter where it is put. */
function negligibleFrom({ q, sigma, count }: SampledSteps, tilt: number, log: number): number {
  let low = 0;
  let high = REACH * sigma;
  const threshold = Math.log(1e-18 / count);
  for (let k = 0; k < 20; k++) {
    const x = (low + high) / 2;
    if (-((x / sigma) ** 2) / 2 - tilt * privacyLoss(q, sigma, x) - log > threshold) low = x;
    else high = x;
  }
  return high;
}
