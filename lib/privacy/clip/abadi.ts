// Clipping as in DP-SGD: gradients longer than C are shortened to C, the others stay as they are.

import { clipRule, type Clip, type ClipOptions } from './clip';

/**
 * min(1, C / n).
 *
 * @throws ERR_INVALID_ARGUMENT
 * @see Abadi et al. 2016, Algorithm 1.
 * @example abadi({ maxGradNorm: 0.1 })
 */
export function abadi(options: ClipOptions): Clip {
  return clipRule('abadi', options, {}, abadiFactor);
}

/** The factor of one sample, which `adaptive` shares. */
export function abadiFactor(norm: number, maxGradNorm: number): number {
  return Math.min(1, maxGradNorm / norm);
}
