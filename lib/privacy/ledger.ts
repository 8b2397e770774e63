// The ledger: every release of anything computed from the data, in the order in which it was paid.

import * as check from '../check';
import { raise } from '../errors';
import type { Accountant } from './accounting/accountant';
import { addEvent, checkEvent, countsPasses, type DpEvent, mergeEvents, sameMechanism } from './accounting/events';

/** What is stored with the weights. */
export interface LedgerRecord {
  readonly version: 1;
  readonly events: readonly DpEvent[];
  /** Releases without noise: with any of them ε is infinite. Absent for none. */
  readonly unprotected?: number;
  /** Set when noise or sampling was repeatable: then nothing below is private. */
  readonly insecureSeed?: number;
}

/** Keeps a ledger where a crash cannot reach it. */
export interface LedgerJournal {
  /**
   * Called before a charge counts: returns when the disk holds at least `charged` of this mechanism.
   *
   * @param event  With any count; null for releases without noise.
   * @param charged  All charges of it so far, the one at hand included.
   */
  cover(event: DpEvent | null, charged: number): void;
}

/** Append-only: events can be added, never taken back. */
export class Ledger {
  #others: readonly DpEvent[]; // passes of other runs: steps of this one must not be taken for the rest of them
  #events: readonly DpEvent[];
  #unprotected: number;
  #insecureSeed: number | undefined;
  #journal: LedgerJournal | null = null;

  constructor(events: readonly DpEvent[] = [], insecureSeed?: number, unprotected = 0) {
    check.integer('Ledger', { unprotected });
    check.objects('Ledger', { events });
    if (insecureSeed !== undefined) check.integer('Ledger', { insecureSeed });
    const merged = mergeEvents(events);
    this.#others = merged.filter(countsPasses);
    this.#events = merged.filter((event) => !countsPasses(event));
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

  /** Events so far, equal mechanisms merged; those that count passes run by run. */
  get events(): readonly DpEvent[] {
    return [...this.#others, ...this.#events];
  }

  get insecureSeed(): number | undefined {
    return this.#insecureSeed;
  }

  /** Marks the run as repeatable, which no later call undoes. */
  stampInsecure(seed: number): void {
    this.#insecureSeed = seed;
  }

  /** @internal From here on no charge counts before `journal` has it. */
  keepIn(journal: LedgerJournal): void {
    this.#journal = journal;
  }

  /** How often `event` was charged, whatever its own count; null asks for releases without noise. */
  charged(event: DpEvent | null): number {
    if (event === null) return this.#unprotected;
    return this.events.reduce((sum, known) => sum + (sameMechanism(known, event) ? known.count : 0), 0);
  }

  /** Pays for a release; call it before the release is used. */
  charge(event: DpEvent): void {
    const checked = this.#covered(event);
    const events = [...this.#events];
    addEvent(events, checked);
    this.#events = events;
  }

  /** Pays for everything that another record holds, such as that of a run which is continued. */
  add(record: LedgerRecord): void {
    const { events, unprotected, insecureSeed } = Ledger.fromJSON(record);
    for (const event of events) {
      if (countsPasses(event)) this.#others = [...this.#others, this.#covered(event)];
      else this.charge(event);
    }
    for (let k = 0; k < unprotected; k++) this.chargeUnprotected();
    if (insecureSeed !== undefined) this.stampInsecure(insecureSeed);
  }

  /** Notes a release without noise, which no event describes. From here on ε is infinite. */
  chargeUnprotected(): void {
    this.#journal?.cover(null, this.#unprotected + 1);
    this.#unprotected += 1;
  }

  /** Releases without noise. */
  get unprotected(): number {
    return this.#unprotected;
  }

  /** ε of everything charged so far; Infinity after a release without noise. */
  epsilon(delta: number, accountant: Accountant): number {
    return this.#unprotected > 0 ? Infinity : accountant.epsilon(this.events, delta);
  }

  // Where there is a journal, it knows before the charge counts.
  #covered<E extends DpEvent>(event: E): E {
    const checked = checkEvent(event);
    this.#journal?.cover(checked, this.charged(checked) + checked.count);
    return checked;
  }

  toJSON(): LedgerRecord {
    return {
      version: 1,
      events: this.events,
      ...(this.#unprotected === 0 ? {} : { unprotected: this.#unprotected }),
      ...(this.#insecureSeed === undefined ? {} : { insecureSeed: this.#insecureSeed }),
    };
  }
}
