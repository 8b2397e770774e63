// Moments of the privacy loss of one step at complex orders, for the contour integral of the exact accountant.

import { growthWithHeight, heights, nodes, widestStep } from './nodes';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

const SQRT_2PI = 2.50662827463100050241576528481;

/** A complex number [real part, imaginary part]. */
export type Complex = readonly [number, number];

/**
 * log M(α + it) as a function of t >= 0 at a fixed real part α, for the contour integral.
 *
 * The x-contour is lifted to height θσ², where |e^{itL}| = e^{-t arg(1 - q + q e^{…})} dies out instead of oscillating:
 * the same nodes serve every t. Lifting costs a factor e^{growth} of rounding, which is kept below e².
 */
export function complexMoment(q: number, sigma: number, alpha: number, most: number): (t: number) => Complex {
  const growth = growthWithHeight(q, sigma, alpha);
  let theta = heights(sigma).at(-1)!;
  for (const height of heights(sigma)) {
    const better =
      height < 1.3 && growth(height) <= 2 && widestStep(sigma, height, growth) > widestStep(sigma, theta, growth);
    if (better) theta = height;
  }
  const { start, step, count } = nodes(q, sigma, alpha, widestStep(sigma, theta, growth), most);
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
      const rest = 1 - q + q * y * Math.cos(theta); // 1 + re, to the last digit where re is near -1
      const near = re > -0.5 && re < 0.5;
      lossRe[j] = near ? Math.log1p(2 * re + re * re + im * im) / 2 : Math.log(Math.hypot(rest, im));
      lossIm[j] = Math.atan2(im, near ? 1 + re : rest);
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
