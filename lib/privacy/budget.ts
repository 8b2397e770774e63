// The budget guard: a step that the plan has not paid for is refused before anything is computed.

import { raise } from '../errors';
import type { DpEvent } from './accounting/events';
import type { Ledger } from './ledger';

/**
 * Charges one event a step, at most `steps` times. The plan was made for exactly that many: its σ keeps the target at the last
 * one, so no accountant has to run inside the loop.
 */
export class BudgetGuard {
  /** @param steps  How often `event` may be charged in all. Null for an event without noise. */
  constructor(
    private readonly ledger: Ledger,
    private readonly event: DpEvent | null,
    private readonly steps: number,
  ) {}

  /** Steps paid for, whether or not they were completed. */
  get charged(): number {
    return this.ledger.charged(this.event);
  }

  get remaining(): number {
    return Math.max(0, this.steps - this.charged);
  }

  /** @throws ERR_PRIVACY_BUDGET when no step remains. */
  admit(): void {
    if (this.remaining > 0) return;
    raise(
      'ERR_PRIVACY_BUDGET',
      `step: the budget is spent: 0 of ${this.steps} planned steps remain. Plan more steps (the noise grows with them) or stop here.`,
    );
  }

  /** Pays for one step. */
  charge(): void {
    this.admit();
    if (this.event === null) this.ledger.chargeUnprotected();
    else this.ledger.charge(this.event);
  }
}
