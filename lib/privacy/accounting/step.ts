// One Poisson-subsampled Gaussian step in closed form: sampling maps the curve of the Gaussian mechanism.
//
//   remove: δ(ε) = q δ_G(ε'),            ε = log(1 + q (e^{ε'} - 1))        (the classic amplification by sampling)
//   add:    δ(ε) = q e^{ε - ε'} δ_G(ε'),  ε = -log(1 - q + q e^{-ε'})        (below -log(1 - q); no larger loss exists)
// Both follow from Φ-integrals over {L > ε} with the outputs x where L(x) = ±ε.

import type { Direction } from './cumulant';
import type { SampledSteps } from './composition';
import { gaussianEpsilon, gaussianLogDelta } from './gaussian';
import { increasingRoot } from './root';

/** log δ(ε) of one step, ε >= 0. The count of `step` is not read. */
export function oneStepLogDelta({ q, sigma }: SampledSteps, direction: Direction, epsilon: number): number {
  if (direction === 'remove') return Math.log(q) + gaussianLogDelta(1 / sigma, unamplified(q, epsilon));
  const scaled = -Math.expm1(-epsilon) / q; // 1 - e^{-ε'}
  if (scaled >= 1) return -Infinity;
  const inner = -Math.log1p(-scaled);
  return Math.log(q) + epsilon - inner + gaussianLogDelta(1 / sigma, inner);
}

/** ε' with ε = log(1 + q (e^{ε'} - 1)), ε >= 0. */
function unamplified(q: number, epsilon: number): number {
  if (epsilon > 700) return epsilon - Math.log(q);
  return Math.log1p(Math.expm1(epsilon) / q);
}

/** The smallest ε >= 0 with δ(ε) <= exp(logDelta) for one step. */
export function oneStepEpsilon(step: SampledSteps, direction: Direction, logDelta: number): number {
  const { q, sigma } = step;
  if (oneStepLogDelta(step, direction, 0) <= logDelta) return 0;
  if (direction === 'remove') {
    const inner = gaussianEpsilon(1 / sigma, logDelta - Math.log(q));
    return inner > 700 ? Math.log(q) + inner : Math.log1p(q * Math.expm1(inner));
  }
  // δ falls with the inner ε', and so does its logarithm.
  const inner = increasingRoot(
    (candidate) => {
      const value = logDelta - addLogDelta(q, sigma, candidate);
      const h = 1e-6 * (1 + candidate);
      return [value, (logDelta - addLogDelta(q, sigma, candidate + h) - value) / h];
    },
    { start: 1, low: 0, tolerance: 1e-15, reach: 20 },
  );
  return -Math.log1p(q * Math.expm1(-inner));
}

function addLogDelta(q: number, sigma: number, inner: number): number {
  const epsilon = -Math.log1p(q * Math.expm1(-inner));
  return Math.log(q) + epsilon - inner + gaussianLogDelta(1 / sigma, inner);
}
