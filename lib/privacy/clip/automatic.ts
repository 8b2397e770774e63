// Normalisation with a stability constant, so that tiny gradients are not blown up to C (AUTO-S).

import * as check from '../../check';
import { clipRule, type Clip, type ClipOptions } from './clip';

/**
 * C / (n + γ).
 *
 * @param options.gamma  γ, at least 0; default 0.01.
 * @throws ERR_INVALID_ARGUMENT
 * @see Bu et al. 2023, «Automatic Clipping», AUTO-S.
 */
export function automatic(choices: ClipOptions & { readonly gamma?: number }): Clip {
  check.object('automatic', { options: choices });
  const { gamma = 0.01, ...options } = choices;
  check.notNegative('automatic', { gamma });
  return clipRule('automatic', options, { gamma }, (norm, maxGradNorm) => maxGradNorm / (norm + gamma));
}
