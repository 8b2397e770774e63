// The privacy loss of a pair of Gaussian mixtures on a grid, pessimistically: connect the dots, as in discretisation.ts.

import { type DiscreteLoss, type GridOptions, LOSS_ERROR, MASS_ERROR, RULE, sumOf } from './discretisation';
import { REACH } from './loss';
import { type Line, lineInverse, lineLoss, logBelow, logRatio, spreadOf, upperEnd } from './mixture';
import { LOG_SQRT_2PI } from './special';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/** Nodes and weights of the 3-point Gauss-Legendre rule on [0, 1]: exact to 3e-17 where the integrand changes by 2e-2. */
const NARROW = [
  [0.112701665379258311482073460021760039, 5 / 18],
  [0.5, 4 / 9],
  [0.887298334620741688517926539978239961, 5 / 18],
] as const;

/** Tilted masses before they are normalised: `mass[k]` is the P-mass at (start + k) h times e^{s (start + k) h - log}. */
export interface RawGrid {
  readonly mass: Float64Array;
  readonly start: number;
  /** Σ of what the undiscretised loss has instead. */
  readonly exact: number;
  readonly logInfinity: number;
}

/** Cells of the loss from output `bottom` on; what lies below `bottom` is left to the caller. */
export function cellsFrom(line: Line, bottom: number, { width: h, tilt, log, logCut }: GridOptions): RawGrid {
  const { p, q, sigma } = line;
  const alpha = 1 + tilt;
  const end = Math.max(upperEnd(line, logCut), bottom + 0.01 * sigma);
  const start = Math.floor(lineLoss(line, bottom) / h);
  const stop = Math.max(start + 1, Math.ceil(lineLoss(line, end) / h));
  const mass = new Float64Array(stop - start + 1);
  const growth = Math.expm1(h);
  const logNorm = LOG_SQRT_2PI + Math.log(sigma);
  const farthest = Math.max(...p.means.map(Math.abs), ...q.means.map(Math.abs));
  const spread = spreadOf(line);
  // A loss is the difference of two logarithms, each right to a few units of its last place.
  const lossError = 2 ** -50 * (1 + (farthest * (Math.max(Math.abs(bottom), end) + farthest)) / sigma ** 2);
  let exact = 0;
  let x = bottom;
  let before = bottom; // cells are about as long as their neighbours: where the search for the next end starts
  for (let i = start; i < stop; i++) {
    const next = i + 1 < stop ? lineInverse(line, (i + 1) * h, x, end, x + (x - before)) : end;
    const steepness = (Math.max(Math.abs(x), Math.abs(next)) + spread + farthest) / sigma ** 2 + 1 / sigma;
    const change = (next - x) * steepness;
    const parts = Math.max(1, Math.ceil(2 * change)); // e^{±1/2} a part: the longer rule is exact to 1e-15
    const rule = change < 2e-2 ? NARROW : RULE;
    const length = (next - x) / parts;
    let inside = 0;
    let above = 0;
    for (let k = 0; k < parts; k++) {
      for (const [node, weight] of rule) {
        const at = x + (k + node) * length;
        const logQ = logRatio(q, sigma, at);
        const loss = logRatio(p, sigma, at) - logQ - i * h;
        const m = weight * length * Math.exp(logQ - (at * at) / (2 * sigma * sigma) - logNorm + alpha * i * h - log);
        inside += m;
        above += m * Math.expm1(loss);
        exact += m * Math.exp(alpha * loss);
      }
    }
    const upper = Math.min(Math.max(above / growth + (MASS_ERROR + lossError / h) * inside, 0), inside);
    mass[i - start]! += inside - upper;
    mass[i - start + 1]! += upper * Math.exp(alpha * h);
    before = x;
    x = next;
  }
  const mirrored = { weights: p.weights, means: p.means.map((mean) => -mean) };
  return { mass, start, exact, logInfinity: logBelow(mirrored, sigma, -end) };
}

/** Masses that add up to 1, with the factor taken out. */
export function normalised(raw: RawGrid, { width, log }: GridOptions): DiscreteLoss {
  const { mass, start, exact, logInfinity } = raw;
  const total = sumOf(mass);
  return {
    mass: mass.map((part) => part / total),
    first: start,
    log: log + Math.log(total) + MASS_ERROR,
    excess: Math.max(0, Math.log(total / exact)),
    logInfinity,
    lossError: Math.max(Math.abs(start), Math.abs(start + mass.length)) * width * LOSS_ERROR,
  };
}

/** Puts the privacy loss of (P, Q) on the grid of all multiples of `width`, never below the truth. */
export function discretisePair(line: Line, options: GridOptions): DiscreteLoss {
  const { width: h, tilt, log } = options;
  const bottom = Math.min(...line.p.means) - REACH * line.sigma;
  const raw = cellsFrom(line, bottom, options);
  // What lies below the cells moves up to the lowest grid point that is not below it.
  raw.mass[1]! += Math.exp(logBelow(line.p, line.sigma, bottom) + tilt * (raw.start + 1) * h - log);
  return normalised(raw, options);
}
