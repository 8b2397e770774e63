// The ledger on disk: charges are reserved there in blocks before they count, so that a crash can only overstate what was spent.

import { readFileSync } from 'node:fs';

import { raise } from '../../errors';
import { replaceFileSync } from '../../files';
import type { DpEvent } from '../accounting/events';
import { Ledger, type LedgerJournal, type LedgerRecord } from '../ledger';
import {
  append,
  decodeChain,
  encodeChain,
  headOf,
  type LedgerChain,
  type LedgerLine,
  runOf,
  totals,
} from './ledger-file';

/** How many steps the next reservation should pay for, at least 1. */
export type BlockSize = (event: DpEvent | null) => number;

/** Writes ledger.log. The file is replaced as a whole each time. */
export class Journal implements LedgerJournal {
  #chain: LedgerChain;
  #attempted: LedgerChain | null = null; // written, but the disk did not confirm
  #open = true;

  constructor(
    private readonly path: string,
    chain: LedgerChain,
    private readonly blockSize: BlockSize,
  ) {
    this.#chain = chain;
  }

  get head(): string {
    return headOf(this.#chain);
  }

  get run(): string {
    return runOf(this.#chain);
  }

  /** Everything that the disk counts as spent. */
  get spent(): LedgerRecord {
    return totals(this.#chain, this.path);
  }

  /**
   * See {@link LedgerJournal}. @throws ERR_CHECKPOINT_WRITE, ERR_CHECKPOINT_BUSY: then the charge does not count.
   * @throws ERR_ENGINE_STATE after {@link close}: the disk would not know of the charge.
   */
  cover(event: DpEvent | null, charged: number): void {
    if (!this.#open) {
      raise(
        'ERR_ENGINE_STATE',
        'step: the checkpoint is closed. Make a new engine, and resume the checkpoint with it.',
      );
    }
    const missing = charged - this.#reserved(event);
    if (missing > 0) this.write({ kind: 'reserve', event, count: Math.max(missing, this.blockSize(event)) });
  }

  /** Adds a line on disk. @throws ERR_CHECKPOINT_WRITE, ERR_CHECKPOINT_BUSY */
  write(line: LedgerLine): void {
    this.#compareWithDisk();
    const chain = append(this.#chain, line);
    this.#attempted = chain;
    try {
      replaceFileSync(this.path, encodeChain(chain));
    } catch (error) {
      raise('ERR_CHECKPOINT_WRITE', `${this.path}: cannot be written: ${(error as Error).message}.`, error);
    }
    this.#attempted = null;
    this.#chain = chain;
  }

  /** Gives back what was reserved and not used; nothing can be charged any more. */
  close(used: Ledger): void {
    if (!this.#open) return;
    const last = this.#chain.lines.at(-1);
    if (last?.kind === 'reserve') {
      const { event } = last;
      const unused = Math.min(last.count, this.#reserved(event) - used.charged(event));
      if (unused > 0) this.write({ kind: 'return', event, count: unused });
    }
    this.#open = false;
  }

  /** Nothing can be charged any more, and nothing is written: what was reserved stays spent. */
  abandon(): void {
    this.#open = false;
  }

  #reserved(event: DpEvent | null): number {
    return Ledger.fromJSON(this.spent).charged(event);
  }

  // Somebody else's steps are on disk and not in this memory: writing would erase them.
  #compareWithDisk(): void {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch (error) {
      return raise('ERR_CHECKPOINT_WRITE', `${this.path}: is gone: ${(error as Error).message}.`, error);
    }
    const found = headOf(decodeChain(text, this.path));
    if (this.#attempted !== null && found === headOf(this.#attempted)) this.#chain = this.#attempted;
    else if (found !== this.head) {
      raise(
        'ERR_CHECKPOINT_BUSY',
        `${this.path}: was changed by another process while this one trains. End one of them.`,
      );
    }
    this.#attempted = null;
  }
}

/** @throws ERR_CHECKPOINT_NOT_FOUND, ERR_CHECKPOINT_DAMAGED */
export function readChain(path: string): LedgerChain {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return raise('ERR_CHECKPOINT_DAMAGED', `${path}: is missing: without it what was spent is not known.`, error);
  }
  return decodeChain(text, path);
}
