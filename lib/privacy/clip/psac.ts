// Normalisation with a weight that does not grow without end for small gradients (DP-PSAC).

import * as check from '../../check';
import { clipRule, type Clip, type ClipOptions } from './clip';

/**
 * C / (n + r / (n + r)): C / n for large gradients, and C, not C / r, for vanishing ones.
 *
 * @param options.r  Above 0; default 0.1. The smaller, the closer to `normalize`.
 * @throws ERR_INVALID_ARGUMENT
 * @see Xia et al. 2023, «Differentially Private Learning with Per-Sample Adaptive Clipping» (arXiv 2212.00328), Algorithm 1. The
 *   threshold itself does not adapt: for that see `adaptive`.
 * @example psac({ maxGradNorm: 1 })
 */
export function psac(choices: ClipOptions & { readonly r?: number }): Clip {
  check.object('psac', { options: choices });
  const { r = 0.1, ...options } = choices;
  check.positive('psac', { r });
  return clipRule('psac', options, { r }, (norm, maxGradNorm) => maxGradNorm / (norm + r / (norm + r)));
}
