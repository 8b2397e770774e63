// The promise of a clipping rule, checked at every step: noise is scaled to what the rule promises, not to what it does.

import { raise } from '../errors';
import type { Clip } from './clip';

/**
 * The factors of one group of parameters.
 *
 * @param bounds  `[B]` certified bounds of the samples' norms over the group; NaN or infinite where a sample is to be dropped.
 * @param share  C_g / C.
 * @throws ERR_INVALID_ARGUMENT unless every factor brings its bound to at most C_g (up to one rounding), and is 0 where the bound is
 *   not finite.
 */
export function boundedFactors(clip: Clip, bounds: Float64Array, share: number): Float64Array {
  const threshold = share * clip.maxGradNorm;
  const factors = clip.factors(bounds, share);
  const holds = bounds.every((bound, b) => {
    const factor = factors[b] as number;
    return Number.isFinite(bound) ? factor >= 0 && factor * bound <= threshold * (1 + 2 ** -50) : factor === 0;
  });
  if (!holds || factors.length !== bounds.length) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `step: the clipping rule ${clip.kind} broke its promise: every factor must be at least 0 and bring its bound to at most ` +
        `share · maxGradNorm = ${threshold}, and be 0 where the bound is not finite.`,
    );
  }
  return factors;
}
