// The ledger: every release of anything computed from the data, in the order in which it was paid.

import { raise } from '../errors';
import type { Accountant } from './accounting/accountant';
import { checkEvent, type DpEvent, mergeEvents } from './accounting/events';

/** What is stored with the weights. */
export interface LedgerRecord {
  readonly version: 1;
  readonly events: readonly DpEvent[];
  /** Set when noise or sampling was repeatable: then nothing below is private. */
  readonly insecureSeed?: number;
}

/** Append-only: events can be added, never taken back. */
export class Ledger {
  #events: readonly DpEvent[];
  #insecureSeed: number | undefined;

  constructor(events: readonly DpEvent[] = [], insecureSeed?: number) {
    this.#events = mergeEvents(events);
    this.#insecureSeed = insecureSeed;
  }

  /** Reads what {@link toJSON} wrote. @throws ERR_INVALID_ARGUMENT for anything else. */
  static fromJSON(record: LedgerRecord): Ledger {
    if (typeof record !== 'object' || record === null || record.version !== 1 || !Array.isArray(record.events)) {
      return raise('ERR_INVALID_ARGUMENT', 'Ledger.fromJSON: this is not a ledger of version 1.');
    }
    return new Ledger(record.events.map(checkEvent), record.insecureSeed);
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

  /** ε of everything charged so far. */
  epsilon(delta: number, accountant: Accountant): number {
    return accountant.epsilon(this.#events, delta);
  }

  toJSON(): LedgerRecord {
    const record = { version: 1 as const, events: this.#events };
    return this.#insecureSeed === undefined ? record : { ...record, insecureSeed: this.#insecureSeed };
  }
}
