// Moments of the privacy loss of one Poisson-subsampled Gaussian step, at real orders.
//
// With Q = N(0, σ²) and L(x) = log(1 - q + q e^{(2x-1)/(2σ²)}) both directions follow from M(α) = E_Q[e^{αL}]:
//   remove: K(s) = E_P[e^{sL}] = M(1 + s)         add: K(s) = E_Q[e^{-sL}] = M(-s)
// Mironov, Talwar and Zhang 2019, arXiv 1908.10530.

import { raise } from '../../errors';
import { privacyLoss } from './loss';
import { growthWithHeight, nodes, widestStep } from './nodes';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/** 64 MB of losses. */
const MOST_NODES = 2 ** 23;

const SQRT_2PI = 2.50662827463100050241576528481;

export interface TiltedMoments {
  /** log M(α). */
  readonly log: number;
  /** Mean of L under the density proportional to φ_σ e^{αL}. */
  readonly mean: number;
  /** Its variance. */
  readonly variance: number;
}

/**
 * log M(α) at a real order with the mean and variance of L under that tilt.
 * log M keeps its relative accuracy (about 1e-12) where M - 1 is tiny: E_Q[e^L] = 1, so M - 1 is the integral of
 * (1+v)^α - 1 - αv with v = e^L - 1, and that integrand does not change its sign.
 *
 * @param most  Outputs above this are left out, which costs accuracy: for choosing tilts and windows, not for bounds.
 */
export function tiltedMoments(q: number, sigma: number, alpha: number, most = Infinity): TiltedMoments {
  const { start, step, count } = nodes(q, sigma, alpha, widestStep(sigma, 0, growthWithHeight(q, sigma, alpha)), most);
  if (count > MOST_NODES)
    raise('ERR_ACCOUNTING', 'too little noise: the moments of one step need more outputs than can be listed.');
  const loss = new Float64Array(count);
  let top = 0;
  for (let j = 0; j < count; j++) {
    const x = start + j * step;
    loss[j] = privacyLoss(q, sigma, x);
    top = Math.max(top, alpha * loss[j]! - (x * x) / (2 * sigma * sigma));
  }
  const norm = step / (sigma * SQRT_2PI);
  let excess = 0; // (M - 1) e^{-top}
  let zeroth = 0;
  let first = 0;
  let second = 0;
  for (let j = 0; j < count; j++) {
    const x = start + j * step;
    const l = loss[j]!;
    const exponent = -(x * x) / (2 * sigma * sigma) - top;
    const weight = Math.exp(exponent + alpha * l);
    zeroth += weight;
    first += weight * l;
    second += weight * l * l;
    excess += convexExcess(alpha, l, exponent, weight);
  }
  const mean = first / zeroth;
  let variance = second / zeroth - mean * mean;
  if (variance < 1e-6 * mean * mean) {
    variance = 0;
    for (let j = 0; j < count; j++) {
      const x = start + j * step;
      variance += Math.exp(alpha * loss[j]! - (x * x) / (2 * sigma * sigma) - top) * (loss[j]! - mean) ** 2;
    }
    variance /= zeroth;
  }
  const log = top > 30 ? top + Math.log(norm * zeroth) : Math.log1p(norm * excess * Math.exp(top));
  return { log, mean, variance };
}

/** ((1+v)^α - 1 - αv) e^{exponent} with 1 + v = e^l; `weight` is e^{αl + exponent}. */
export function convexExcess(alpha: number, l: number, exponent: number, weight: number): number {
  const al = alpha * l;
  if (Math.abs(al) < 0.05 && Math.abs(l) < 0.05) {
    // Σ_{k>=2} (α^k - α) l^k / k!
    let sum = 0;
    let power = l;
    let order = 1;
    for (let k = 2; k <= 9; k++) {
      power *= l / k;
      order *= alpha;
      sum += (order - 1) * alpha * power;
    }
    return sum * Math.exp(exponent);
  }
  const linear = l > 30 ? alpha * Math.exp(l + exponent) : alpha * Math.expm1(l) * Math.exp(exponent);
  return (al > 30 ? weight : Math.expm1(al) * Math.exp(exponent)) - linear;
}
