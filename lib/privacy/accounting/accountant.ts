// The one shape of every accountant: from events and delta to epsilon, from events and epsilon to delta.

import * as check from '../../check';
import { raise } from '../../errors';
import type { DpEvent } from './events';

/** Turns released events into a guarantee for the neighbours that the events were charged for. */
export interface Accountant {
  /**
   * `pld`: certified upper bound, tight to 1e-3. `prv`: upper end of a certified interval. `rdp`: upper bound, looser. `exact`: the value
   * itself, without proof.
   */
  readonly name: 'pld' | 'prv' | 'rdp' | 'exact';
  /** How many records two neighbouring data sets may differ in. Absent: 1. */
  readonly groupSize?: number;
  /**
   * The smallest ε >= 0 that the accountant can state at this δ. 0 without events.
   * @throws ERR_INVALID_ARGUMENT for δ outside (0, 1): Gaussian noise never gives δ = 0.
   */
  epsilon(events: readonly DpEvent[], delta: number): number;
  /**
   * The smallest δ that the accountant can state at this ε >= 0, from 0 to 1.
   * @throws ERR_INVALID_ARGUMENT for a negative or infinite ε.
   */
  delta(events: readonly DpEvent[], epsilon: number): number;
}

/** δ must lie strictly between 0 and 1. @throws ERR_INVALID_ARGUMENT */
export function checkDelta(operation: string, delta: number): void {
  check.between(operation, { delta }, 0, 1);
}

/** ε must be finite and at least 0. @throws ERR_INVALID_ARGUMENT */
export function checkEpsilon(operation: string, epsilon: number): void {
  check.notNegative(operation, { epsilon });
}

/** The last line of every accountant: no NaN, negative or silently infinite number leaves it. @throws ERR_ACCOUNTING */
export function finite(operation: string, value: number): number {
  if (Number.isFinite(value) && value >= 0) return value;
  return raise(
    'ERR_ACCOUNTING',
    `${operation}: no finite value in double precision for these events, got ${value}. Use more noise or a larger delta.`,
  );
}
