// Moments of the privacy loss of a pair of Gaussian mixtures, by the trapezoidal rule.

import type { TiltedSum } from './cumulant';
import { REACH } from './loss';
import { type Line, logRatio, spreadOf, upperEnd } from './mixture';
import { convexExcess } from './moments';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

const SQRT_2PI = 2.50662827463100050241576528481;

/** Nodes after which a moment counts as out of reach. */
const MOST_NODES = 4e5;

/** No bound at all: what searches over tilts pass over, and accountants refuse. */
export const OUT_OF_REACH: TiltedSum = { log: Infinity, mean: Infinity, variance: 1 };

/**
 * log E_P[e^{sL}] with mean and variance of L under that tilt. The integrand is analytic, so the rule converges
 * exponentially; its step is a quarter of what the width of the Gaussians and the distance of their centres would allow.
 */
export function tiltedSum(line: Line, s: number, logCut: number): TiltedSum {
  const { p, q, sigma } = line;
  const spread = spreadOf(line);
  const low = Math.min(...p.means, ...q.means) - REACH * sigma - (s < 0 ? -s * spread : 0);
  const reach = Math.max(...p.means, ...q.means) + REACH * sigma + (s > 0 ? s * spread : 0);
  const high = logCut === -Infinity ? reach : Math.min(reach, upperEnd(line, logCut));
  const step = Math.min(sigma / 4, (sigma * sigma) / (6 * spread));
  const count = Math.ceil((high - low) / step) + 1;
  if (count > MOST_NODES) return OUT_OF_REACH;
  const loss = new Float64Array(count);
  const base = new Float64Array(count); // log of Q's density
  let top = -Infinity;
  for (let j = 0; j < count; j++) {
    const x = low + j * step;
    const logQ = logRatio(q, sigma, x);
    loss[j] = logRatio(p, sigma, x) - logQ;
    base[j] = logQ - (x * x) / (2 * sigma * sigma);
    top = Math.max(top, (1 + s) * loss[j]! + base[j]!);
  }
  const norm = step / (sigma * SQRT_2PI);
  let excess = 0;
  let zeroth = 0;
  let first = 0;
  for (let j = 0; j < count; j++) {
    const exponent = base[j]! - top;
    const weight = Math.exp(exponent + (1 + s) * loss[j]!);
    zeroth += weight;
    first += weight * loss[j]!;
    // E_Q[e^L] = 1, so K - 1 is the integral of (1+v)^α - 1 - αv, which keeps its accuracy where K is nearly 1.
    excess += convexExcess(1 + s, loss[j]!, exponent, weight);
  }
  const mean = first / zeroth;
  let variance = 0;
  for (let j = 0; j < count; j++) {
    variance += Math.exp(base[j]! + (1 + s) * loss[j]! - top) * (loss[j]! - mean) ** 2;
  }
  const plain = top > 30 || high < reach;
  const log = plain ? top + Math.log(norm * zeroth) : Math.log1p(norm * excess * Math.exp(top));
  return { log, mean, variance: variance / zeroth };
}
