// The ledger: every release of anything computed from the data, in the order in which it was paid.

import * as check from '../check';
import { raise } from '../errors';
import type { Accountant } from './accounting/accountant';
import { checkEvent, type DpEvent, mergeEvents } from './accounting/events';

/** What is stored with the weights. */
export interface LedgerRecord {
  readonly version: 1;
  readonly events: readonly DpEvent[];
  /** Releases without noise: with any of them ε is infinite. Absent for none. */
  readonly unprotected?: number;
  /** Set when noise or sampling was repeatable: then nothing below is private. */
  readonly insecureSeed?: number;
}

/** Append-only: events can be added, never taken back. */
export class Ledger {
  #events: readonly DpEvent[];
  #unprotected: number;
  #insecureSeed: number | undefined;

  constructor(events: readonly DpEvent[] = [], insecureSeed?: number, unprotected = 0) {
    check.integer('Ledger', { unprotected });
    this.#events = mergeEvents(events);
    this.#insecureSeed = insecureSeed;
    this.#unprotected = unprotected;
  }

  /** Reads what {@link toJSON} wrote. @throws ERR_INVALID_ARGUMENT for anything else. */
  static fromJSON(record: LedgerRecord): Ledger {
    if (typeof record !== 'object' || record === null || record.version !== 1 || !Array.isArray(record.events)) {
      return raise('ERR_INVALID_ARGUMENT', 'Ledger.fromJSON: this is not a ledger of version 1.');
    }
    return new Ledger(record.events.map(checkEvent), record.insecureSeed, record.unprotected);
  }

  /** Events so far, equal mechanisms merged. */
  get events(): readonly DpEvent[] {
    return this.#events;
  }

  get insecureSeed(): number | undefined {
    return this.#insecureSeed;
  }

  /** Marks the run as repeatable, which no later call undoes. */
  stampInsecure(seed: number): void {
    this.#insecureSeed = seed;
  }

  /** Pays for a release; call it before the release is used. */
  charge(event: DpEvent): void {
    this.#events = mergeEvents([...this.#events, checkEvent(event)]);
  }

  /** Notes a release without noise, which no event describes. From here on ε is infinite. */
  chargeUnprotected(): void {
    this.#unprotected += 1;
  }

  /** Releases without noise. */
  get unprotected(): number {
    return this.#unprotected;
  }

  /** ε of everything charged so far; Infinity after a release without noise. */
  epsilon(delta: number, accountant: Accountant): number {
    return this.#unprotected > 0 ? Infinity : accountant.epsilon(this.#events, delta);
  }

  toJSON(): LedgerRecord {
    return {
      version: 1,
      events: this.#events,
      ...(this.#unprotected === 0 ? {} : { unprotected: this.#unprotected }),
      ...(this.#insecureSeed === undefined ? {} : { insecureSeed: this.#insecureSeed }),
    };
  }
}
