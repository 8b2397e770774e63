// The Gaussian mechanism without sampling: delta(epsilon) and epsilon(delta) in closed form.
//
// Releases of sensitivity 1 with noise σ_1, σ_2, … are together one release with μ = sqrt(Σ 1/σ_i²):
//   δ(ε) = Φ(μ/2 - ε/μ) - e^ε Φ(-μ/2 - ε/μ)                        Balle and Wang 2018, arXiv 1805.06530, Theorem 8
// The two terms nearly cancel for small μ and overflow for large ε, so every branch below works on scaled quantities.

import { erfcx, log1mexp, logPhi, SQRT2 } from './special';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

const TWO_OVER_SQRT_PI = 1.12837916709551257389615890312;

/** Nodes and weights of the 10-point Gauss-Legendre rule on [-1, 1], positive half. */
const GAUSS10 = [
  [0.148874338981631210884826001129719985, 0.295524224714752870173815619188769],
  [0.433395394129247190799265943165784162, 0.269266719309996355091226921569469],
  [0.67940956829902440623432736511487358, 0.219086362515982043995534934228163],
  [0.865063366688984510732096688423493049, 0.149451349150580593145863397657697],
  [0.973906528517171720077964012084452053, 0.066671344308688137593568809893332],
] as const;

/** erfcx(low) - erfcx(low + width) for low > -2, without cancellation: the integral of -erfcx'(u) = 2/√π - 2u erfcx(u). */
function erfcxDrop(low: number, width: number): number {
  if (width > 0.7) return erfcx(low) - erfcx(low + width);
  const middle = low + width / 2;
  let sum = 0;
  for (const [node, weight] of GAUSS10) {
    for (const u of [middle - (node * width) / 2, middle + (node * width) / 2]) {
      sum += weight * (TWO_OVER_SQRT_PI - 2 * u * erfcx(u));
    }
  }
  return (sum * width) / 2;
}

/**
 * log δ(ε) of Gaussian releases with joint μ, for add-or-remove-one neighbours.
 *
 * @param mu  sqrt(Σ 1/σ²) over the releases; at least 0 (no release gives -Infinity).
 * @param epsilon  Any real number; finite.
 * @returns Absolute error about 1e-13 or better, also where δ itself underflows.
 */
export function gaussianLogDelta(mu: number, epsilon: number): number {
  if (mu === 0) return epsilon >= 0 ? -Infinity : log1mexp(epsilon);
  const a = mu / 2 - epsilon / mu;
  const b = -mu / 2 - epsilon / mu;
  // e^ε φ(b) = φ(a): with erfcx both terms carry the same factor exp(-a²/2).
  if (a < SQRT2) return Math.log(erfcxDrop(-a / SQRT2, mu / SQRT2) / 2) - (a * a) / 2;
  const first = logPhi(a);
  return first + log1mexp(epsilon + logPhi(b) - first);
}

/** δ(ε) of Gaussian releases with joint μ; see {@link gaussianLogDelta}. */
export function gaussianDelta(mu: number, epsilon: number): number {
  return Math.exp(gaussianLogDelta(mu, epsilon));
}

/**
 * The smallest ε >= 0 with δ(ε) <= exp(logDelta), for Gaussian releases with joint μ and logDelta < 0.
 * Relative error about 1e-13. The argument is a logarithm so that δ may be as small as 1e-1000.
 */
export function gaussianEpsilon(mu: number, logDelta: number): number {
  if (gaussianLogDelta(mu, 0) <= logDelta) return 0;
  // log δ is concave in ε: from the right of the root (the Rényi bound is there) Newton falls monotonically onto it.
  let epsilon = (mu * mu) / 2 + mu * Math.sqrt(-2 * logDelta);
  for (let k = 0; k < 100; k++) {
    const value = gaussianLogDelta(mu, epsilon);
    const slope = Math.exp(epsilon + logPhi(-mu / 2 - epsilon / mu) - value);
    const next = epsilon - (logDelta - value) / slope;
    if (!(next < epsilon)) break;
    const close = epsilon - next <= 1e-16 * epsilon;
    epsilon = Math.max(next, 0);
    if (close) break;
  }
  return epsilon;
}
