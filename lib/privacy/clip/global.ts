// One factor for all samples that stay below a cutoff, and none of the others: the direction of the sum is that of its samples.

import * as check from '../../check';
import { clipRule, type Clip, type ClipOptions } from './clip';

/**
 * C / Z if n ≤ Z, else 0. A sample beyond the cutoff contributes nothing, so Z belongs above nearly all norms; measured against the
 * gradients the noise has standard deviation σZ, so not far above.
 *
 * @param options.cutoff  Z, in gradient units; finite, above 0. With groups it is compared with the norm of each group.
 * @throws ERR_INVALID_ARGUMENT
 * @see Bu et al. 2021, «On the Convergence and Calibration of Deep Learning with Differential Privacy», global clipping.
 * @example global({ maxGradNorm: 1, cutoff: 50 })
 */
export function global(choices: ClipOptions & { readonly cutoff: number }): Clip {
  check.object('global', { options: choices });
  const { cutoff, ...options } = choices;
  check.positive('global', { cutoff });
  return clipRule('global', options, { cutoff }, (norm, maxGradNorm) => (norm <= cutoff ? maxGradNorm / cutoff : 0));
}
