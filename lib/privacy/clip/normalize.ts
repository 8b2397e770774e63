// Every gradient is brought to length C: the direction counts, not the size (AUTO-V).

import { clipRule, type Clip, type ClipOptions } from './clip';

/**
 * C / n, and 0 for n = 0. The recommender's rule (paper, section 5).
 *
 * @throws ERR_INVALID_ARGUMENT
 * @see Bu et al. 2023, «Automatic Clipping», AUTO-V.
 * @example normalize({ maxGradNorm: 1 })
 */
export function normalize(options: ClipOptions): Clip {
  return clipRule('normalize', options, {}, (norm, maxGradNorm) => (norm === 0 ? 0 : maxGradNorm / norm));
}
