// The cumulant function of a composition, Λ(s) = log E_P[e^{sL}]: what a Rényi order, a tilt and a contour all ask for.

import type { Composition, SampledSteps } from './composition';
import { type Complex, complexMoment } from './complexMoments';
import { privacyLoss, REACH, upperOutput } from './loss';
import { tiltedMoments } from './moments';
import { increasingRoot } from './root';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

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

/** Λ(s) with its first two derivatives, as a function of real s. */
export interface Cumulant {
  at(s: number): TiltedSum;
  /** Tilts above this are out of reach: moments of order α take a node for every σ² or so of [0, α]. */
  readonly largestTilt: number;
}

/** Nodes allowed for a moment, in units of the distance σ or σ² that one node covers. */
const MOST_NODES = 1e5;

/** Tilts beyond this are never needed: they belong to losses that a closed form bounds. */
const LARGEST_TILT = 1e13;

/**
 * The cumulant function of a composition. Gaussian releases contribute μ² s (s + 1) / 2 exactly.
 *
 * @param logCut  Leaves out the outputs of largest loss, with a P-mass of at most exp(logCut) a step. In some
 *   compositions such outputs, too rare to matter for δ, rule the moments of high order (and make Rényi bounds loose).
 */
export function cumulantOf(composition: Composition, direction: Direction, logCut = -Infinity): Cumulant {
  const { mu, sampled, others } = composition;
  const remove = direction === 'remove';
  const terms = sampled.map((step) => ({ ...step, most: outermost(step, remove, logCut) }));
  const costs = remove && logCut === -Infinity;
  const reach = costs ? terms.map(({ sigma }) => 100 + MOST_NODES * Math.min(sigma, sigma * sigma)) : [];
  const at = (s: number): TiltedSum => {
    let log = (mu * mu * s * (s + 1)) / 2;
    let mean = mu * mu * (s + 0.5);
    let variance = mu * mu;
    for (const { q, sigma, count, most } of terms) {
      const moments = tiltedMoments(q, sigma, remove ? 1 + s : -s, most);
      log += count * moments.log;
      mean += remove ? count * moments.mean : -count * moments.mean;
      variance += count * moments.variance;
    }
    for (const { pair, count } of others) {
      const moments = pair.tilted(direction, s, logCut);
      log += count * moments.log;
      mean += count * moments.mean;
      variance += count * moments.variance;
    }
    return { log, mean, variance };
  };
  return { at, largestTilt: Math.min(LARGEST_TILT, ...reach, ...others.map(({ pair }) => pair.largestTilt)) };
}

/** The output of a step above which nothing is counted. */
function outermost({ q, sigma }: SampledSteps, remove: boolean, logCut: number): number {
  if (logCut === -Infinity) return Infinity;
  return remove ? upperOutput(q, sigma, logCut) : 1 + REACH * sigma;
}

/**
 * True when next to nothing lies at the cut even under the tilt s: the density there is below e^{-44} of the whole, so
 * the moments are those of all smaller losses, and exponentially convergent sums stay so.
 */
export function cutIsClean({ sampled }: Composition, s: number, logCut: number): boolean {
  return sampled.every(({ q, sigma }) => {
    const most = upperOutput(q, sigma, logCut);
    const level = (1 + s) * privacyLoss(q, sigma, most) - (most / sigma) ** 2 / 2;
    return level - tiltedMoments(q, sigma, 1 + s, most).log < -44;
  });
}

/** Λ(c + it) as a function of real t at a fixed real part c, with `logCut` as in {@link cumulantOf}. The imaginary part is right up to multiples of 2π. */
export function complexCumulant(
  composition: Composition,
  direction: Direction,
  c: number,
  logCut: number,
): (t: number) => Complex {
  const { mu, sampled } = composition;
  const remove = direction === 'remove';
  const terms = sampled.map((step) => ({
    count: step.count,
    moment: complexMoment(step.q, step.sigma, remove ? 1 + c : -c, outermost(step, remove, logCut)),
  }));
  return (t) => {
    let re = (mu * mu * (c * (c + 1) - t * t)) / 2;
    let im = (mu * mu * (2 * c + 1) * t) / 2;
    for (const { count, moment } of terms) {
      const [logSize, angle] = moment(Math.abs(t)); // M is real on the real axis: M(ᾱ) is the conjugate of M(α)
      re += count * logSize;
      im += remove === t >= 0 ? count * angle : -count * angle;
    }
    return [re, im];
  };
}

/** The largest privacy loss that can occur: finite only when a record may be added and every step is sampled. */
export function largestLoss({ mu, sampled, others }: Composition, direction: Direction): number {
  if (mu > 0 || (direction === 'remove' && sampled.length > 0)) return Infinity;
  const largest = others.reduce((sum, { pair, count }) => sum + count * pair.largestLoss(direction), 0);
  return sampled.reduce((sum, { q, count }) => sum - count * Math.log1p(-q), largest);
}

/** max over l >= 0 of (1 - e^{-l}) e^{-sl}, as a logarithm: s log s - (s+1) log(s+1). */
export function logPeak(s: number): number {
  return -s * Math.log1p(1 / s) - Math.log1p(s);
}

/**
 * The tilt s = α - 1 whose Rényi bound (Λ(s) - log δ + logPeak(s)) / s on ε is smallest, and that bound.
 * Conversion of Canonne, Kamath and Steinke 2020 (arXiv 2004.00010, Proposition 12). The numerator is convex in s, so
 * its quotient by s has one minimum: where s N'(s) - N(s) changes its sign.
 */
export function bestTilt(cumulant: Cumulant, logDelta: number): { readonly s: number; readonly epsilon: number } {
  const spread = Math.sqrt(cumulant.at(0).variance);
  const start = Math.log(Math.sqrt(-2 * logDelta) / spread + 0.5);
  const logS = increasingRoot(
    (u) => {
      const s = Math.exp(u);
      const { log, mean, variance } = cumulant.at(s);
      const numerator = log - logDelta + logPeak(s);
      return [s * (mean - Math.log1p(1 / s)) - numerator, s * s * (variance + 1 / (s * (s + 1)))];
    },
    { start, tolerance: 1e-4, high: Math.log(cumulant.largestTilt) },
  );
  const s = Math.exp(logS);
  return { s, epsilon: (cumulant.at(s).log - logDelta + logPeak(s)) / s };
}

/** The tilt s whose Rényi bound Λ(s) - sε + logPeak(s) on log δ is smallest. */
export function bestTiltAt(cumulant: Cumulant, epsilon: number): number {
  return stationaryTilt(cumulant, epsilon, (s) => [Math.log1p(1 / s), 1 / (s * (s + 1))]);
}

/** The tilt at which Λ(s) - sε - log(s (s + 1)) is smallest: the saddle point of the contour integral for δ(ε). */
export function saddlePoint(cumulant: Cumulant, epsilon: number): number {
  return stationaryTilt(cumulant, epsilon, (s) => [1 / s + 1 / (s + 1), 1 / s ** 2 + 1 / (s + 1) ** 2]);
}

/** The s with Λ'(s) = ε + pull(s), where `pull` returns a falling function of s and the size of its slope. */
function stationaryTilt(cumulant: Cumulant, epsilon: number, pull: (s: number) => readonly [number, number]): number {
  const centre = cumulant.at(0);
  const start = Math.max(0, epsilon - centre.mean) / centre.variance + 1 / Math.sqrt(centre.variance);
  const logS = increasingRoot(
    (u) => {
      const s = Math.exp(u);
      const { mean, variance } = cumulant.at(s);
      const [force, stiffness] = pull(s);
      return [mean - epsilon - force, s * (variance + stiffness)];
    },
    { start: Math.log(start), tolerance: 1e-3, high: Math.log(cumulant.largestTilt) },
  );
  return Math.exp(logS);
}
