// One step's privacy loss rounded to the nearest grid point, its mean kept: the discretisation of the PRV accountant.
//
// Gopi, Lee and Wutschitz 2021 (arXiv 2106.02848), Algorithm 2: every loss in [(i - 1/2) h, (i + 1/2) h] becomes ih + μ, with one μ
// for all cells that keeps the mean. The rounding error Y - (ih + μ) then lies in an interval of length h and has mean 0.

import type { Direction } from './cumulant';
import type { SampledSteps } from './composition';
import { type DiscreteLoss, type GridOptions, LOSS_ERROR, MASS_ERROR, RULE, sumOf } from './discretisation';
import { lossInverse, privacyLoss, upperOutput } from './loss';
import { LOG_SQRT_2PI, logAddExp, logPhi, normalQuantile } from './special';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/** Nodes and weights of the 2-point Gauss-Legendre rule on [0, 1]: exact to 2e-16 where the integrand changes by 1e-3. */
const NARROW = [
  [0.211324865405187117745425609748978, 0.5],
  [0.788675134594812882254574390251022, 0.5],
] as const;

export interface CentredLoss {
  /** The tilted masses at the grid points, without μ; `logInfinity` counts both tails that are cut off. */
  readonly loss: DiscreteLoss;
  /** μ. */
  readonly offset: number;
  /** The variance of the rounding error Y - (ih + μ), from above; h²/12 where cells are filled evenly. */
  readonly variance: number;
}

interface Ends {
  readonly bottom: number;
  readonly end: number;
  /** log of the P-mass outside. */
  readonly logOutside: number;
}

/** The outputs between which P has all but a mass of about 2 e^{logCut}. */
function endsOf({ q, sigma }: SampledSteps, direction: Direction, logCut: number): Ends {
  const lowest = direction === 'remove' && q === 1 ? 1 : 0; // the lower of the two centres of P
  const bottom = lowest + sigma * normalQuantile(logCut);
  const below = logPhi((bottom - lowest) / sigma); // the other centre has less there
  if (direction === 'add') return { bottom, end: -bottom, logOutside: below + Math.LN2 };
  const end = upperOutput(q, sigma, logCut);
  const above = logAddExp(Math.log1p(-q) + logPhi(-end / sigma), Math.log(q) + logPhi((1 - end) / sigma));
  return { bottom, end, logOutside: logAddExp(below, above) };
}

/** How far apart the smallest and the largest loss of a step lie, without what is cut off. */
export function spanOf(step: SampledSteps, direction: Direction, logCut: number): number {
  const { bottom, end } = endsOf(step, direction, logCut);
  return privacyLoss(step.q, step.sigma, end) - privacyLoss(step.q, step.sigma, bottom);
}

/** Puts the privacy loss of one step (0 < q <= 1) on the grid of all multiples of `width`, up to `offset`. */
export function centredGrid(step: SampledSteps, options: GridOptions): CentredLoss {
  const { q, sigma } = step;
  const { direction, width: h, tilt, log, logCut } = options;
  const remove = direction === 'remove';
  const sign = remove ? 1 : -1; // direction `add` has the loss -L
  const { bottom, end, logOutside } = endsOf(step, direction, logCut);
  const cellOf = (x: number): number => Math.floor(privacyLoss(q, sigma, x) / h + 0.5);
  const start = cellOf(bottom);
  const stop = Math.max(start, cellOf(end));
  const mass = new Float64Array(stop - start + 1);
  const steepest = (Math.max(Math.abs(bottom), Math.abs(end)) + 1) / (sigma * sigma) + 1 / sigma;
  let inside = 0;
  let moved = 0;
  let squares = 0;
  let x = bottom;
  for (let i = start; i <= stop; i++) {
    const next = i < stop ? Math.min(end, Math.max(x, lossInverse(q, sigma, (i + 0.5) * h))) : end;
    const cell = integrateCell(step, x, next, (i - 0.5) * h, i === start, remove, steepest, h);
    const scale = Math.exp(cell.scale);
    inside += scale * cell.inside;
    moved += scale * (cell.above - cell.inside * (h / 2));
    squares += scale * cell.square;
    mass[remove ? i - start : stop - i] = cell.inside * Math.exp(cell.scale + sign * tilt * i * h - log);
    x = next;
  }
  const total = sumOf(mass);
  const offset = moved / inside;
  return {
    loss: {
      mass: mass.map((part) => part / total),
      first: remove ? start : -stop,
      log: log + Math.log(total),
      excess: 0,
      logInfinity: logOutside,
      lossError: (Math.max(Math.abs(start), Math.abs(stop)) + 1) * h * LOSS_ERROR,
    },
    offset: sign * offset,
    variance: Math.max(0, squares / inside - offset * offset) + MASS_ERROR * h * h,
  };
}

interface Cell {
  /** The integrals below are to be multiplied by e^{scale}. */
  readonly scale: number;
  /** ∫ dP over the cell. */
  readonly inside: number;
  /** ∫ (L - low) dP over the cell. */
  readonly above: number;
  /** ∫ (L - low - h/2)² dP over the cell. */
  readonly square: number;
}

/** P-mass and first moment of L over the outputs from x to `end`, where L runs from `low` (or above it when `partial`). */
function integrateCell(
  { q, sigma }: SampledSteps,
  x: number,
  end: number,
  low: number,
  partial: boolean,
  remove: boolean,
  steepest: number,
  h: number,
): Cell {
  const s2 = sigma * sigma;
  const nearest = Math.min(Math.max(0, x), end); // where the density of N(0, σ²) is largest
  const peak = -(nearest * nearest) / (2 * s2);
  const narrow = (end - x) * steepest < 1e-3;
  const steepness = narrow ? steepest : (Math.max(Math.abs(x), Math.abs(end)) + 1) / s2 + 1 / sigma;
  const parts = narrow ? 1 : Math.max(1, Math.ceil(2 * (end - x) * steepness)); // e^{±1/2} a part: exact to 4e-16
  const rule = narrow ? NARROW : RULE;
  const length = (end - x) / parts;
  let gap = partial ? Math.max(0, Math.expm1(privacyLoss(q, sigma, x) - low)) : 0; // e^{L - low} - 1 at the part's start
  let inside = 0;
  let above = 0;
  let square = 0;
  for (let k = 0; k < parts; k++) {
    const from = x + k * length;
    const rate = Math.exp(Math.log(q) + (from - 0.5) / s2 - low); // e^{L} grows by rate (e^{d/σ²} - 1) e^{low}
    const density = Math.exp(-(from * from) / (2 * s2) - peak) * length;
    for (const [node, weight] of rule) {
      const d = node * length;
      const excess = gap + rate * Math.expm1(d / s2);
      const m = weight * density * Math.exp((-d * (from + d / 2)) / s2) * (remove ? 1 + excess : 1);
      inside += m;
      const rise = Math.log1p(excess);
      above += m * rise;
      square += m * (rise - h / 2) ** 2;
    }
    gap += rate * Math.expm1(length / s2);
  }
  return { scale: peak - LOG_SQRT_2PI - Math.log(sigma) + (remove ? low : 0), inside, above, square };
}
