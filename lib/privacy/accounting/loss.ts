// The privacy loss of one Poisson-subsampled Gaussian step as a function of its output.
//
// Q = N(0, σ²) is the output without the record, P = (1-q) N(0, σ²) + q N(1, σ²) with it, and L = log dP/dQ.

import { normalQuantile } from './special';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/** How far the normal density is followed, in standard deviations: Φ(-9.6) = 4e-22. */
export const REACH = 9.6;

/** The privacy loss log(1 - q + q e^{(2x-1)/(2σ²)}) of one step at output x; exact for small q and large x alike. */
export function privacyLoss(q: number, sigma: number, x: number): number {
  const a = (x - 0.5) / (sigma * sigma);
  if (a > 700 || q === 1) return Math.log(q) + a;
  const v = q * Math.expm1(a);
  return v < -0.5 ? Math.log(1 - q + q * Math.exp(a)) : Math.log1p(v); // 1 + v would lose digits near v = -1
}

/** The output x with privacy loss l, the inverse of {@link privacyLoss}; -Infinity at and below log(1 - q). */
export function lossInverse(q: number, sigma: number, loss: number): number {
  if (q === 1) return 0.5 + sigma * sigma * loss;
  const ratio = loss > 700 ? Infinity : Math.expm1(loss) / q;
  if (ratio <= -1) return -Infinity;
  return 0.5 + sigma * sigma * (ratio === Infinity ? loss - Math.log(q) : Math.log1p(ratio));
}

/** dL/dx · σ², between 0 and 1: the share of the sampled component in the mixture's density at x. */
export function responsibility(q: number, sigma: number, x: number): number {
  return q / (q + (1 - q) * Math.exp(-(x - 0.5) / (sigma * sigma)));
}

/** The output above which direction `remove` has a P-mass of at most exp(logMass). */
export function upperOutput(q: number, sigma: number, logMass: number): number {
  const half = logMass - Math.LN2;
  const sampled = 1 - sigma * normalQuantile(half - Math.log(q));
  const other = -sigma * normalQuantile(half - Math.log1p(-q));
  return Math.max(sampled, other, 0);
}
