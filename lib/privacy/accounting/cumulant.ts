// The cumulant function of a composition, Λ(s) = log E_P[e^{sL}]: what a Rényi order, a tilt and a contour all ask for.

import type { Composition } from './events';
import { type Complex, complexMoment, tiltedMoments } from './moments';
import { increasingRoot } from './root';

/** Which of two neighbours is P: `remove` has the record that Q lacks, `add` lacks it. */
export type Direction = 'remove' | 'add';

export const DIRECTIONS: readonly Direction[] = ['remove', 'add'];

export interface TiltedSum {
  /** Λ(s). */
  readonly log: number;
  /** Λ'(s): the mean of the privacy loss under the tilt e^{sL}. */
  readonly mean: number;
  /** Λ''(s): its variance. */
  readonly variance: number;
}

/** Λ(s) with its first two derivatives, for real s. Gaussian releases contribute μ² s (s + 1) / 2 exactly. */
export function cumulant(composition: Composition, direction: Direction, s: number): TiltedSum {
  const { mu, sampled } = composition;
  let log = (mu * mu * s * (s + 1)) / 2;
  let mean = mu * mu * (s + 0.5);
  let variance = mu * mu;
  for (const { q, sigma, count } of sampled) {
    const moments = tiltedMoments(q, sigma, direction === 'remove' ? 1 + s : -s);
    log += count * moments.log;
    mean += direction === 'remove' ? count * moments.mean : -count * moments.mean;
    variance += count * moments.variance;
  }
  return { log, mean, variance };
}

/** Λ(c + it) as a function of real t at a fixed real part c. The imaginary part is right up to multiples of 2π. */
export function complexCumulant(composition: Composition, direction: Direction, c: number): (t: number) => Complex {
  const { mu, sampled } = composition;
  const terms = sampled.map(({ q, sigma, count }) => ({
    count,
    moment: complexMoment(q, sigma, direction === 'remove' ? 1 + c : -c),
  }));
  return (t) => {
    let re = (mu * mu * (c * (c + 1) - t * t)) / 2;
    let im = (mu * mu * (2 * c + 1) * t) / 2;
    for (const { count, moment } of terms) {
      const [logSize, angle] = moment(Math.abs(t)); // M is real on the real axis: M(ᾱ) is the conjugate of M(α)
      re += count * logSize;
      im += direction === 'remove' === t >= 0 ? count * angle : -count * angle;
    }
    return [re, im];
  };
}

/** The largest privacy loss that can occur: finite only when a record may be added and every step is sampled. */
export function largestLoss({ mu, sampled }: Composition, direction: Direction): number {
  if (direction === 'remove' || mu > 0) return mu > 0 || sampled.length > 0 ? Infinity : 0;
  return sampled.reduce((sum, { q, count }) => sum - count * Math.log1p(-q), 0);
}

/** max over l >= 0 of (1 - e^{-l}) e^{-sl}, as a logarithm: s log s - (s+1) log(s+1). */
export function logPeak(s: number): number {
  return -s * Math.log1p(1 / s) - Math.log1p(s);
}

/** Tilts beyond this are never needed: they belong to losses that a closed form bounds. */
const LARGEST_LOG_TILT = 30;

/**
 * The tilt s = α - 1 whose Rényi bound (Λ(s) - log δ + logPeak(s)) / s on ε is smallest, and that bound.
 * Conversion of Canonne, Kamath and Steinke 2020 (arXiv 2004.00010, Proposition 12). The numerator is convex in s, so
 * its quotient by s has one minimum: where s N'(s) - N(s) changes its sign.
 */
export function bestTilt(
  composition: Composition,
  direction: Direction,
  logDelta: number,
): { readonly s: number; readonly epsilon: number } {
  const spread = Math.sqrt(cumulant(composition, direction, 0).variance);
  const start = Math.log(Math.sqrt(-2 * logDelta) / spread + 0.5);
  const logS = increasingRoot(
    (u) => {
      const s = Math.exp(u);
      const { log, mean, variance } = cumulant(composition, direction, s);
      const numerator = log - logDelta + logPeak(s);
      return [s * (mean - Math.log1p(1 / s)) - numerator, s * s * (variance + 1 / (s * (s + 1)))];
    },
    { start, tolerance: 1e-4, high: LARGEST_LOG_TILT },
  );
  const s = Math.exp(logS);
  return { s, epsilon: (cumulant(composition, direction, s).log - logDelta + logPeak(s)) / s };
}

/** The tilt s whose Rényi bound Λ(s) - sε + logPeak(s) on log δ is smallest. */
export function bestTiltAt(composition: Composition, direction: Direction, epsilon: number): number {
  return stationaryTilt(composition, direction, epsilon, (s) => [Math.log1p(1 / s), 1 / (s * (s + 1))]);
}

/** The tilt at which Λ(s) - sε - log(s (s + 1)) is smallest: the saddle point of the contour integral for δ(ε). */
export function saddlePoint(composition: Composition, direction: Direction, epsilon: number): number {
  return stationaryTilt(composition, direction, epsilon, (s) => [1 / s + 1 / (s + 1), 1 / s ** 2 + 1 / (s + 1) ** 2]);
}

/** The s with Λ'(s) = ε + pull(s), where `pull` returns a falling function of s and the size of its slope. */
function stationaryTilt(
  composition: Composition,
  direction: Direction,
  epsilon: number,
  pull: (s: number) => readonly [number, number],
): number {
  const centre = cumulant(composition, direction, 0);
  const start = Math.max(0, epsilon - centre.mean) / centre.variance + 1 / Math.sqrt(centre.variance);
  const logS = increasingRoot(
    (u) => {
      const s = Math.exp(u);
      const { mean, variance } = cumulant(composition, direction, s);
      const [force, stiffness] = pull(s);
      return [mean - epsilon - force, s * (variance + stiffness)];
    },
    { start: Math.log(start), tolerance: 1e-3, high: LARGEST_LOG_TILT },
  );
  return Math.exp(logS);
}
