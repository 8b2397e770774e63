// Nodes of the trapezoidal rule for moments of the privacy loss: where, and how densely for the accuracy of doubles.
//
// The integrand φ_σ(x) e^{αL(x)} is analytic in the strip |Im x| < πσ², where 1 - q + q e^{(2x-1)/(2σ²)} first vanishes,
// so the rule converges exponentially: about 40 to 400 nodes.

import { privacyLoss, REACH, responsibility } from './loss';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/** log of the largest error left out, relative to the largest term: below the rounding error of doubles. */
const DIGITS = 42;

export interface Grid {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/**
 * Heights of contours to choose from, in units of σ², falling. The integrand is analytic up to π, where 1 - q + q e^{…}
 * vanishes; for large σ the density, which grows like e^{θ²σ²/2}, allows heights of about 1/σ only.
 */
export function heights(sigma: number): number[] {
  const count = 24 + Math.ceil(2 * Math.log2(Math.max(1, sigma)));
  return Array.from({ length: count }, (_, k) => 2.4 / Math.SQRT2 ** k);
}

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
export function growthWithHeight(q: number, sigma: number, alpha: number): (theta: number) => number {
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
export function widestStep(sigma: number, theta: number, growth: (theta: number) => number): number {
  let step = 0;
  for (const a of heights(sigma)) {
    if (theta > 0 && a > theta) continue;
    step = Math.max(step, (2 * Math.PI * a * sigma * sigma) / (DIGITS + growth(theta + a)));
  }
  return step;
}

/** The nodes for order α (its real part): all peaks lie between 0 and α, and the component around 1 counts as well. */
export function nodes(q: number, sigma: number, alpha: number, step: number, most = Infinity): Grid {
  const start = (alpha < 0 ? lowPeak(q, sigma, alpha) : 0) - REACH * sigma;
  const stop = Math.min(Math.max(alpha, 1) + REACH * sigma, most);
  return { start, step, count: Math.ceil((stop - start) / step) + 1 };
}
