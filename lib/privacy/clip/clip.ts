// What a clipping rule promises: factors that bound every sample's contribution, and the bound itself.

import * as check from '../../check';
import type { Grouping } from './grouping';

/** A clipping rule. Frozen; a new rule is a new file beside this one. */
export interface Clip {
  readonly kind: string;
  /** C: no sample contributes more than this to the sum, in gradient units. */
  readonly maxGradNorm: number;
  /** Relative widening of the norm bound that pays for rounding in the clipped sum. */
  readonly slack: number;
  /** Which parameters are clipped together; null for all of them. */
  readonly grouping: Grouping | null;
  /** The rule's own constants by name, for the statement. All public. */
  readonly settings: Readonly<Record<string, number>>;
  /**
   * @param bounds  `[B]` certified upper bounds of the samples' gradient norms over one group of parameters; NaN or infinite for a
   *   sample that is not finite.
   * @param share  The group's part of the threshold: C_g = share · C, with Σ share² = 1 over the groups. Default 1.
   * @returns `[B]` factors c with `c · bound ≤ C_g`, finite and at least 0. A sample that is not finite gets 0, which the sum
   *   reads as «replace its rows by zeros».
   */
  factors(bounds: Float64Array, share?: number): Float64Array;
}

export interface ClipOptions {
  /** C, finite and above 0 (`abadi` also takes Infinity: no clipping, only together with a noise multiplier of 0). */
  readonly maxGradNorm: number;
  /** Clips groups of parameters apart: `perLayer()` or `groups([…])`. Default: all parameters together. */
  readonly groups?: Grouping;
  /** η, default 2^-10. 0 is for comparisons with reference values only. */
  readonly slack?: number;
}

const SLACK = 2 ** -10;

/**
 * Builds a rule from the factor of one finite bound.
 *
 * @param settings  What the formula knows beside C.
 * @param factor  From the widened bound of a sample and C_g to its factor.
 * @throws ERR_INVALID_ARGUMENT
 */
export function clipRule(
  kind: string,
  options: ClipOptions,
  settings: Readonly<Record<string, number>>,
  factor: (widened: number, maxGradNorm: number) => number,
): Clip {
  check.onlyKnown(kind, options, ['maxGradNorm', 'slack', 'groups', ...Object.keys(settings)]);
  const { maxGradNorm, slack = SLACK, groups } = options;
  if (!(kind === 'abadi' && maxGradNorm === Infinity)) check.positive(kind, { maxGradNorm });
  check.notNegative(kind, { slack });
  return Object.freeze({
    kind,
    maxGradNorm,
    slack,
    grouping: groups ?? null,
    settings: Object.freeze({ ...settings }),
    factors: (bounds: Float64Array, share = 1) =>
      bounds.map((bound) =>
        Number.isFinite(bound) ? usableOr0(factor(widened(bound, slack), share * maxGradNorm)) : 0,
      ),
  });
}

/** What a rule compares with C: the bound and the rounding of the sum that follows. */
export function widened(bound: number, slack: number): number {
  return bound * (1 + slack);
}

// The smallest number that still has all its digits.
const LEAST_NORMAL = 2 ** -1022;

/**
 * A factor that is not finite belongs to a bound so small that C / bound overflows, a gradient of no consequence; one below the
 * normal numbers has lost digits and may be far too large for its bound. Both count as 0.
 */
export function usableOr0(factor: number): number {
  return Number.isFinite(factor) && factor >= LEAST_NORMAL ? factor : 0;
}
