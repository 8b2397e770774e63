// Two mixtures of Gaussians of one width on a line, whose likelihood ratio rises along it.
//
// Poisson sampling, neighbours `replace`: P = (1-q) N(0) + q N(1), Q = (1-q) N(0) + q N(-1). It dominates every pair
// (1-q) N(0) + q N(g) against (1-q) N(0) + q N(g') with |g|, |g'| <= 1, in any dimension: under Q0 = N(0, σ²) let
// X = <g, x>/σ² - |g|²/2σ² and Y likewise for g', so that H_α = E[(1-q + q e^X - α (1-q + q e^Y))_+]. By Price's theorem
// dH/dCov(X, Y) = E[1'(…) q e^X (-α q e^Y)] <= 0: the worst covariance is that of g' opposite to g. On that line the
// likelihood ratio rises, and moving a centre outwards moves mass of P up, or of Q down: H_α rises to |g| = |g'| = 1.
//
// Poisson sampling, k records more: P = Σ_i Bin(k, q)(i) N(i), Q = N(0); Ganesh 2024, arXiv 2401.10294.

import { logBinomial } from './binomial';
import type { Direction, TiltedSum } from './cumulant';
import type { DiscreteLoss, GridOptions } from './discretisation';
import { REACH } from './loss';
import { lineNodes, type LossNodes, type NodeOptions } from './lossNodes';
import type { LossPair } from './lossPair';
import { discretisePair } from './mixtureGrid';
import { tiltedSum } from './mixtureMoments';
import { logAddExp, logPhi, normalQuantile } from './special';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

export interface Mixture {
  /** Positive, of sum 1. */
  readonly weights: readonly number[];
  readonly means: readonly number[];
}

/** P and Q with a common standard deviation; log dP/dQ rises with the output. */
export interface Line {
  readonly p: Mixture;
  readonly q: Mixture;
  readonly sigma: number;
}

/** The weights of Bin(k, q) at the means 0..k. */
export function binomialWeights(k: number, q: number): Mixture {
  const means = Array.from({ length: k + 1 }, (_, i) => i);
  const logWeights = means.map((i) => logBinomial(k, q, i));
  // Components too rare for a double would only cost time; their mass goes to the largest mean that is kept.
  const kept = means.filter((i) => i <= k * q || logWeights[i]! > -300);
  const weights = kept.map((i) => Math.exp(logWeights[i]!));
  const rest = logWeights.slice(kept.length).reduce((sum, part) => sum + Math.exp(part), 0);
  if (rest > 0) return { weights: [...weights, rest], means: [...kept, k] };
  return { weights, means: kept };
}

/** log of the density of a mixture relative to N(0, σ²); accurate where it is nearly 0. */
export function logRatio({ weights, means }: Mixture, sigma: number, x: number): number {
  const s2 = sigma * sigma;
  if (means.length === 1) return (means[0]! * (x - means[0]! / 2)) / s2;
  let top = -Infinity;
  for (const mean of means) top = Math.max(top, (mean * (x - mean / 2)) / s2);
  let sum = 0;
  if (top < 1) {
    for (let i = 0; i < means.length; i++) sum += weights[i]! * Math.expm1((means[i]! * (x - means[i]! / 2)) / s2);
    if (sum > -0.5) return Math.log1p(sum);
    sum = 0;
  }
  for (let i = 0; i < means.length; i++) sum += weights[i]! * Math.exp((means[i]! * (x - means[i]! / 2)) / s2 - top);
  return top + Math.log(sum);
}

/** The mean of the centres under the responsibilities at x: σ² times the slope of {@link logRatio}. */
function meanCentre({ weights, means }: Mixture, sigma: number, x: number, log: number): number {
  const s2 = sigma * sigma;
  if (means.length === 1) return means[0]!;
  let sum = 0;
  for (let i = 0; i < means.length; i++) {
    if (means[i] === 0) continue;
    sum += weights[i]! * means[i]! * Math.exp((means[i]! * (x - means[i]! / 2)) / s2 - log);
  }
  return sum;
}

/** log dP/dQ at x. */
export function lineLoss({ p, q, sigma }: Line, x: number): number {
  return logRatio(p, sigma, x) - logRatio(q, sigma, x);
}

/** The x in [low, high] with privacy loss `loss`, to the last digits; the end where there is none. Starts from `guess`. */
export function lineInverse(line: Line, loss: number, low: number, high: number, guess: number): number {
  const { p, q, sigma } = line;
  // The loss bends by at most spread / σ² times its slope: after a step this short Newton's next one would be below the last digit.
  const last = 1e-8 * Math.sqrt(sigma / spreadOf(line)) * sigma;
  let [left, right] = [low, high];
  let x = Math.min(Math.max(guess, low), high);
  for (let k = 0; k < 200; k++) {
    const [logP, logQ] = [logRatio(p, sigma, x), logRatio(q, sigma, x)];
    const value = logP - logQ - loss;
    if (value === 0) return x;
    if (value < 0) left = x;
    else right = x;
    const slope = (meanCentre(p, sigma, x, logP) - meanCentre(q, sigma, x, logQ)) / (sigma * sigma);
    const step = slope > 0 ? -value / slope : NaN;
    let next = x + step;
    if (Math.abs(step) <= last) return Math.min(Math.max(next, low), high);
    if (!(next > left && next < right)) next = left + (right - left) / 2;
    if (next <= left || next >= right) return next;
    x = next;
  }
  return x;
}

/** log of the mass of a mixture below x. */
export function logBelow({ weights, means }: Mixture, sigma: number, x: number): number {
  return weights.reduce((log, w, i) => logAddExp(log, Math.log(w) + logPhi((x - means[i]!) / sigma)), -Infinity);
}

/** The mixture mirrored at 0. */
function mirrored({ weights, means }: Mixture): Mixture {
  return { weights, means: means.map((mean) => -mean) };
}

/** The pair in the order that a direction reads it: `add` swaps the two and mirrors the line, so that the loss rises again. */
function oriented(line: Line, direction: Direction): Line {
  if (direction === 'remove') return line;
  return { p: mirrored(line.q), q: mirrored(line.p), sigma: line.sigma };
}

/** An output above which the first distribution has a mass of at most exp(logMass). */
export function upperEnd({ p: { weights, means }, sigma }: Line, logMass: number): number {
  const each = logMass - Math.log(weights.length);
  const ends = weights.map((w, i) =>
    each >= Math.log(w) ? -Infinity : means[i]! - sigma * normalQuantile(each - Math.log(w)),
  );
  return Math.max(...ends, Math.min(...means) - 0.5 * REACH * sigma);
}

/** The distance between the outermost centres: what tilting by s moves the density by, per unit of s. */
export function spreadOf({ p, q }: Line): number {
  return Math.max(...p.means, ...q.means) - Math.min(...p.means, ...q.means);
}

/** The pair of two mixtures; log dP/dQ must rise with the output. */
export function mixturePair(p: Mixture, q: Mixture, sigma: number): LossPair {
  const line: Line = { p, q, sigma };
  const symmetric = p.means.every((mean, i) => p.weights[i] === q.weights[i] && mean + (q.means[i] ?? NaN) === 0);
  const spread = spreadOf(line);
  return {
    symmetric,
    largestTilt: 1 + 2e4 * Math.min(sigma, (sigma * sigma) / spread),
    largestLoss(direction) {
      if (direction === 'remove' || q.means.length > 1) return Infinity;
      return -Math.log(p.weights[p.means.indexOf(q.means[0] as number)] as number);
    },
    tilted: (direction: Direction, s: number, logCut: number): TiltedSum =>
      tiltedSum(oriented(line, direction), s, logCut),
    discretise: (options: GridOptions): DiscreteLoss => discretisePair(oriented(line, options.direction), options),
    nodes: (options: NodeOptions): LossNodes => lineNodes(oriented(line, options.direction), options),
  };
}

/** The pair of one Poisson-sampled step, 0 < q <= 1, neighbours `addRemove`. */
export function sampledPair(q: number, sigma: number): LossPair {
  const p = q === 1 ? { weights: [1], means: [1] } : { weights: [1 - q, q], means: [0, 1] };
  return mixturePair(p, { weights: [1], means: [0] }, sigma);
}
