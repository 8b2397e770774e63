// What a clipping rule promises: factors that bound every sample's contribution, and the bound itself.

import * as check from '../../check';

/** A clipping rule. Frozen; a new rule is a new file beside this one. */
export interface Clip {
  readonly kind: string;
  /** C: no sample contributes more than this to the sum, in gradient units. */
  readonly maxGradNorm: number;
  /** Relative widening of the norm bound that pays for rounding in the clipped sum. */
  readonly slack: number;
  /**
   * @param bounds  `[B]` certified upper bounds of the per-sample gradient norms; NaN or infinite for a sample that is not finite.
   * @returns `[B]` factors c with `c · bound ≤ C`, finite and at least 0. A sample that is not finite gets 0, which the sum
   *   reads as «replace its rows by zeros».
   */
  factors(bounds: Float64Array): Float64Array;
}

export interface ClipOptions {
  /** C, finite and above 0 (`abadi` also takes Infinity: no clipping, only together with a noise multiplier of 0). */
  readonly maxGradNorm: number;
  /** η, default 2^-10. 0 is for comparisons with reference values only. */
  readonly slack?: number;
}

const SLACK = 2 ** -10;

/** Builds a rule from the factor of one finite bound. @throws ERR_INVALID_ARGUMENT */
export function clipRule(
  kind: string,
  { maxGradNorm, slack = SLACK }: ClipOptions,
  factor: (widened: number, maxGradNorm: number) => number,
): Clip {
  if (!(kind === 'abadi' && maxGradNorm === Infinity)) check.positive(kind, { maxGradNorm });
  check.notNegative(kind, { slack });
  return Object.freeze({
    kind,
    maxGradNorm,
    slack,
    factors: (bounds: Float64Array) =>
      bounds.map((bound) => (Number.isFinite(bound) ? finiteOr0(factor(bound * (1 + slack), maxGradNorm)) : 0)),
  });
}

// A bound so small that C / bound overflows belongs to a gradient of no consequence: it contributes nothing.
function finiteOr0(factor: number): number {
  return Number.isFinite(factor) ? factor : 0;
}
