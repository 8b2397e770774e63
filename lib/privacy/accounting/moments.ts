// Moments of the privacy loss of one Poisson-subsampled Gaussian step, at real and complex orders.
//
// With Q = N(0, σ²) and L(x) = log(1 - q + q e^{(2x-1)/(2σ²)}) both directions follow from M(α) = E_Q[e^{αL}]:
//   remove: K(s) = E_P[e^{sL}] = M(1 + s)         add: K(s) = E_Q[e^{-sL}] = M(-s)
// Mironov, Talwar and Zhang 2019, arXiv 1908.10530. The trapezoidal rule in x converges exponentially because the
// integrand is analytic in the strip |Im x| < πσ², where 1 - q + q e^{…} first vanishes: about 40 to 400 nodes.

import { normalQuantile } from './special';

const SQRT_2PI = 2.50662827463100050241576528481;

/** log of the largest error left out, relative to the largest term: below the rounding error of doubles. */
const DIGITS = 42;

/** How far the normal density is followed, in standard deviations: Φ(-9.6) = 4e-22. */
export const REACH = 9.6;

/** The privacy loss log(1 - q + q e^{(2x-1)/(2σ²)}) of one step at output x; exact for small q and large x alike. */
export function privacyLoss(q: number, sigma: number, x: number): number {
  const a = (x - 0.5) / (sigma * sigma);
  if (a > 700 || q === 1) return Math.log(q) + a;
  return Math.log1p(q * Math.expm1(a));
}

/** The output x with privacy loss l, the inverse of {@link privacyLoss}; -Infinity at and below log(1 - q). */
export function lossInverse(q: number, sigma: number, loss: number): number {
  if (q === 1) return 0.5 + sigma * sigma * loss;
  const ratio = loss > 700 ? Infinity : Math.expm1(loss) / q;
  if (ratio <= -1) return -Infinity;
  return 0.5 + sigma * sigma * (ratio === Infinity ? loss - Math.log(q) : Math.log1p(ratio));
}

/** dL/dx · σ², between 0 and 1: the share of the sampled component in the mixture's density at x. */
function responsibility(q: number, sigma: number, x: number): number {
  return q / (q + (1 - q) * Math.exp(-(x - 0.5) / (sigma * sigma)));
}

interface Grid {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** Heights of contours, in units of σ²; the integrand is analytic up to π, where 1 - q + q e^{…} vanishes. */
const HEIGHTS = Array.from({ length: 24 }, (_, k) => 2.4 / Math.SQRT2 ** k);

/** The place of the highest point of -x²/(2σ²) + αL(x) for α < 0, where x = α · responsibility(x). */
function lowPeak(q: number, sigma: number, alpha: number): number {
  let left = alpha;
  let right = 0;
  for (let k = 0; k < 60; k++) {
    const middle = (left + right) / 2;
    if (middle < alpha * responsibility(q, sigma, middle)) left = middle;
    else right = middle;
  }
  return left;
}

/**
 * By how much (as a logarithm) the integrand is larger at height θσ² than on the real axis, as a function of θ.
 * The density grows by θ²σ²/2; e^{αL} shrinks for α >= 0 and grows towards its pole for α < 0.
 */
function growthWithHeight(q: number, sigma: number, alpha: number): (theta: number) => number {
  const s2 = sigma * sigma;
  if (alpha >= 0) return (theta) => (theta * theta * s2) / 2;
  const peak = lowPeak(q, sigma, alpha);
  const spacing = Math.min(sigma, s2) / 2;
  const points = Array.from({ length: Math.ceil((12 * sigma) / spacing) }, (_, k) => {
    const x = peak - 3 * sigma + k * spacing;
    const p = responsibility(q, sigma, x);
    return { level: alpha * privacyLoss(q, sigma, x) - (x * x) / (2 * s2), overlap: 2 * p * (1 - p) };
  });
  const top = alpha * privacyLoss(q, sigma, peak) - (peak * peak) / (2 * s2);
  return (theta) => {
    const turn = 2 * Math.sin(theta / 2) ** 2; // 1 - cos θ
    let highest = 0;
    for (const { level, overlap } of points) {
      highest = Math.max(highest, level - top + (alpha / 2) * Math.log1p(-overlap * turn));
    }
    return highest + (theta * theta * s2) / 2;
  };
}

/**
 * The widest step of the trapezoidal rule on a contour at height θσ², for the error e^{-DIGITS}: a strip of half-width
 * aσ² around the contour gives the error e^{growth - 2πaσ²/step}. A lifted contour (θ > 0) keeps its strip above the
 * real axis, where |e^{itL}| <= 1.
 */
function widestStep(sigma: number, theta: number, growth: (theta: number) => number): number {
  let step = 0;
  for (const a of theta > 0 ? HEIGHTS.filter((height) => height <= theta) : HEIGHTS) {
    step = Math.max(step, (2 * Math.PI * a * sigma * sigma) / (DIGITS + growth(theta + a)));
  }
  return step;
}

/** The nodes for order α (its real part): all peaks lie between 0 and α, and the component around 1 counts as well. */
function nodes(q: number, sigma: number, alpha: number, step: number, most = Infinity): Grid {
  const start = (alpha < 0 ? lowPeak(q, sigma, alpha) : 0) - REACH * sigma;
  const stop = Math.min(Math.max(alpha, 1) + REACH * sigma, most);
  return { start, step, count: Math.ceil((stop - start) / step) + 1 };
}

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
function convexExcess(alpha: number, l: number, exponent: number, weight: number): number {
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

/** The output above which direction `remove` has a P-mass of at most exp(logMass). */
export function upperOutput(q: number, sigma: number, logMass: number): number {
  const half = logMass - Math.LN2;
  const sampled = 1 - sigma * normalQuantile(half - Math.log(q));
  const other = -sigma * normalQuantile(half - Math.log1p(-q));
  return Math.max(sampled, other, 0);
}

/** log M(α) at a real order; see {@link tiltedMoments}. */
export function logMoment(q: number, sigma: number, alpha: number): number {
  return alpha === 0 || alpha === 1 ? 0 : tiltedMoments(q, sigma, alpha).log;
}

/** A complex number [real part, imaginary part]. */
export type Complex = readonly [number, number];

/**
 * log M(α + it) as a function of t >= 0 at a fixed real part α, for the contour integral.
 *
 * The x-contour is lifted to height θσ², where |e^{itL}| = e^{-t arg(1 - q + q e^{…})} dies out instead of oscillating:
 * the same nodes serve every t. Lifting costs a factor e^{growth} of rounding, which is kept below e².
 */
export function complexMoment(q: number, sigma: number, alpha: number): (t: number) => Complex {
  const growth = growthWithHeight(q, sigma, alpha);
  let theta = HEIGHTS.at(-1)!;
  for (const height of HEIGHTS) {
    const better =
      height < 1.3 && growth(height) <= 2 && widestStep(sigma, height, growth) > widestStep(sigma, theta, growth);
    if (better) theta = height;
  }
  const { start, step, count } = nodes(q, sigma, alpha, widestStep(sigma, theta, growth));
  const lossRe = new Float64Array(count);
  const lossIm = new Float64Array(count);
  const phaseRe = new Float64Array(count);
  const phaseIm = new Float64Array(count);
  const logDensity = new Float64Array(count);
  const norm = (step * Math.exp((theta * theta * sigma * sigma) / 2)) / (sigma * SQRT_2PI);
  let top = 0;
  for (let j = 0; j < count; j++) {
    const x = start + j * step;
    const a = (x - 0.5) / (sigma * sigma);
    if (a > 340) {
      lossRe[j] = Math.log(q) + a;
      lossIm[j] = theta;
    } else {
      const y = Math.exp(a);
      const re = q * (Math.expm1(a) - 2 * y * Math.sin(theta / 2) ** 2); // q (y cos θ - 1)
      const im = q * y * Math.sin(theta);
      lossRe[j] = Math.log1p(2 * re + re * re + im * im) / 2;
      lossIm[j] = Math.atan2(im, 1 + re);
    }
    logDensity[j] = -((x / sigma) ** 2) / 2;
    phaseRe[j] = norm * Math.cos(x * theta);
    phaseIm[j] = -norm * Math.sin(x * theta);
    top = Math.max(top, alpha * lossRe[j]! + logDensity[j]!);
  }
  const huge = top > 100;
  const shift = huge ? top : 0;
  const density = logDensity.map((log) => Math.exp(log));
  // M - 1 is summed as w (e^{αL} - 1), which keeps small q accurate; only where M is huge the 1 is dropped.
  return (t) => {
    let sumRe = 0;
    let sumIm = 0;
    for (let j = 0; j < count; j++) {
      const re = alpha * lossRe[j]! - t * lossIm[j]!;
      const im = alpha * lossIm[j]! + t * lossRe[j]!;
      let termRe: number;
      let termIm: number;
      if (huge || re > 40) {
        const size = Math.exp(re + logDensity[j]! - shift);
        termRe = size * Math.cos(im);
        termIm = size * Math.sin(im);
      } else {
        const grown = Math.expm1(re);
        const sine = Math.sin(im / 2);
        const twice = 2 * (1 + grown) * density[j]! * sine;
        termRe = density[j]! * grown - twice * sine; // e^re cos(im) - 1
        termIm = twice * Math.cos(im / 2);
      }
      sumRe += phaseRe[j]! * termRe - phaseIm[j]! * termIm;
      sumIm += phaseRe[j]! * termIm + phaseIm[j]! * termRe;
    }
    if (huge) return [top + Math.log(Math.hypot(sumRe, sumIm)), Math.atan2(sumIm, sumRe)];
    return [Math.log1p(2 * sumRe + sumRe * sumRe + sumIm * sumIm) / 2, Math.atan2(sumIm, 1 + sumRe)];
  };
}
