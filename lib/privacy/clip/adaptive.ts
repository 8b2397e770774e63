// A threshold that follows a quantile of the gradient norms: after each step it moves by a noisy count of the samples below it.

import * as check from '../../check';
import { raise } from '../../errors';
import { abadiFactor } from './abadi';
import { clipRule, type Clip, type ClipOptions } from './clip';

/** A rule whose threshold moves. The value itself does not change: {@link next} gives the rule of the next step. */
export interface AdaptiveClip extends Clip {
  /** γ: the share of samples that the threshold should leave unclipped. */
  readonly quantile: number;
  /** η_C of C ← C · exp(-η_C (b̃ - γ)). */
  readonly learningRate: number;
  /** The least and the largest C: public, and the reason why C stays finite whatever is counted. */
  readonly limits: readonly [least: number, most: number];
  /** σ_b: standard deviation of the noise on the count. Null for a twentieth of the expected batch size. */
  readonly countNoise: number | null;
  /** @param fraction  b̃: the noisy share of samples with a norm of at most C. Any finite number: noise may carry it out of [0, 1]. */
  next(fraction: number): AdaptiveClip;
  /** The same rule with another threshold, within the limits. */
  at(maxGradNorm: number): AdaptiveClip;
}

export interface AdaptiveOptions extends Omit<ClipOptions, 'groups'> {
  /** γ, between 0 and 1; default 0.5, the median. */
  readonly quantile?: number;
  /** η_C, above 0; default 0.2. */
  readonly learningRate?: number;
  /** Least and largest threshold; default a millionth and a million times `maxGradNorm`. */
  readonly limits?: readonly [least: number, most: number];
  /**
   * σ_b, finite and above 0: standard deviation of the noise on the sum of the samples' bits, each ±½. Default a twentieth of the
   * expected batch size. Smaller follows the quantile more closely, and the gradient gets more noise for it.
   */
  readonly countNoise?: number;
}

/**
 * min(1, C_t / n) with C_t near the γ-quantile of the norms.
 *
 * The count of samples below C_t is released with the gradient, from the same batch: one mechanism, not two. Its noise multiplier is
 * σ_eff = (σ⁻² + (2σ_b)⁻²)^(-½), where σ is that of the gradient and a sample moves the count by ½. The plan's `noiseMultiplier` is
 * σ_eff: it is what the ledger charges, and the gradient gets the slightly larger σ.
 *
 * @param options.maxGradNorm  C_0, the threshold of the first step.
 * @throws ERR_INVALID_ARGUMENT, also for `groups`: a threshold a group would be a count a group.
 * @see Andrew et al. 2021, «Differentially Private Learning with Adaptive Clipping» (arXiv 1905.03871), Algorithm 1 and Theorem 1;
 *   the defaults are those of its section 3.
 * @example adaptive({ maxGradNorm: 0.1 })
 */
export function adaptive(options: AdaptiveOptions): AdaptiveClip {
  check.object('adaptive', { options });
  const { quantile = 0.5, learningRate = 0.2, countNoise = null, limits, ...common } = options;
  if ((common as ClipOptions).groups !== undefined) {
    raise(
      'ERR_INVALID_ARGUMENT',
      'adaptive: groups are not offered, because each would need a count of its own with noise of its own. Clip all parameters ' +
        'together, or take groups with a rule of fixed threshold.',
    );
  }
  const { maxGradNorm } = common;
  check.positive('adaptive', { maxGradNorm });
  check.between('adaptive', { quantile }, 0, 1);
  check.positive('adaptive', { learningRate });
  if (countNoise !== null) check.positive('adaptive', { countNoise });
  const [least, most] = limits ?? [maxGradNorm * 1e-6, maxGradNorm * 1e6];
  check.positive('adaptive', { least });
  check.positive('adaptive', { most });
  if (!(least <= maxGradNorm && maxGradNorm <= most)) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `adaptive: maxGradNorm must be within limits, got ${maxGradNorm} for ${least} to ${most}.`,
    );
  }
  const settings = { quantile, learningRate };
  return Object.freeze({
    ...clipRule('adaptive', common, settings, abadiFactor),
    ...settings,
    limits: Object.freeze([least, most] as const),
    countNoise,
    next(fraction: number): AdaptiveClip {
      if (!Number.isFinite(fraction)) {
        raise('ERR_INVALID_ARGUMENT', `adaptive: the fraction must be a finite number, got ${fraction}.`);
      }
      const moved = maxGradNorm * Math.exp(-learningRate * (fraction - quantile));
      return this.at(Math.min(most, Math.max(least, moved)));
    },
    at: (threshold: number) => adaptive({ ...options, limits: [least, most], maxGradNorm: threshold }),
  });
}

/** Whether the threshold of `clip` moves. */
export function isAdaptive(clip: Clip): clip is AdaptiveClip {
  return 'next' in clip;
}
