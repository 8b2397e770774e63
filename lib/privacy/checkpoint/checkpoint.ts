// A checkpoint: the state of a run on disk, and the ledger that no crash can lower.

import { join } from 'node:path';

import * as check from '../../check';
import { raise } from '../../errors';
import { removeFolderSync } from '../../files';
import type { DpEvent } from '../accounting/events';
import type { LedgerRecord } from '../ledger';
import { describeRun, type Fingerprinted, plainJson } from './description';
import type { FolderLock } from './folder-lock';
import { Journal } from './journal';
import { sameCharge, totals } from './ledger-file';
import { addSnapshot } from './snapshot';
import {
  type About,
  beginIn,
  type CheckpointHost,
  content,
  continueIn,
  hasCheckpoint,
  LEDGER_FILE,
  readWhole,
} from './start';

export interface CheckpointOptions {
  /** The training data; a checkpoint is continued on the same data only. `SequenceDataset` has a fingerprint. */
  readonly data: Fingerprinted;
  /**
   * Steps between two saved states. Default: a twentieth of the planned steps. The step after which a state is due writes it, and
   * throws ERR_CHECKPOINT_WRITE when it cannot; the step itself has been taken.
   */
  readonly every?: number;
  /**
   * Steps that are written to the ledger on disk at a time, before they run. A crash loses those that were not saved, and what was
   * reserved beyond; larger blocks write less often. Default: a tenth of `every`.
   */
  readonly reserve?: number;
  /** `true`: continue the checkpoint in the folder; `'auto'`: continue it if there is one; `false` (default): begin a new one. */
  readonly resume?: boolean | 'auto';
  /** Whatever else must not change between the parts of a run, such as the learning-rate schedule. JSON only; compared as a whole. */
  readonly configuration?: unknown;
  /** Kept beside it and not compared: what {@link readCheckpoint} should give back. JSON only. */
  readonly notes?: unknown;
}

/** What {@link readCheckpoint} finds. */
export interface CheckpointSummary {
  /** Logical steps that the newest state has taken. */
  readonly steps: number;
  /** Everything that counts as spent, reserved steps included. */
  readonly ledger: LedgerRecord;
  /** As given to `engine.checkpoint`. */
  readonly configuration: unknown;
  readonly notes: unknown;
  /** When the newest state was written, ISO 8601. */
  readonly written: string;
}

/**
 * The checkpoint of one engine, made by `engine.checkpoint(folder, options)`. States are saved by the steps themselves; call
 * {@link close} at the end.
 */
export class Checkpoint {
  /** Steps that the parameters had taken when the run was resumed; null for a new one. */
  readonly resumedAt: number | null;
  #savedAt: number;
  #open = true;

  private constructor(
    readonly folder: string,
    private readonly host: CheckpointHost,
    private readonly every: number,
    private readonly about: About,
    private readonly journal: Journal,
    private readonly lock: FolderLock,
    resumedAt: number | null,
  ) {
    this.resumedAt = resumedAt;
    this.#savedAt = host.steps();
  }

  /** @internal */
  static open(host: CheckpointHost, folder: string, options: CheckpointOptions): Checkpoint {
    check.onlyKnown('checkpoint', options, ['data', 'every', 'reserve', 'resume', 'configuration', 'notes']);
    const { resume = false } = options;
    check.oneOf('checkpoint', { resume }, [true, false, 'auto']);
    const every = options.every ?? Math.ceil(host.plan.steps / 20);
    check.integer('checkpoint', { every }, 1);
    const reserve = options.reserve ?? Math.ceil(every / 10);
    check.integer('checkpoint', { reserve }, 1);
    const { data, configuration, notes } = options;
    check.able('checkpoint', { data }, 'fingerprint', 'a data set that can say which data it holds');
    check.text('checkpoint', { folder });
    const description = describeRun({ ...host, optimizer: host.optimizer('checkpoint'), data, configuration });
    const about = { description, notes: plainJson(notes) };
    const begin = resume === false || (resume === 'auto' && !hasCheckpoint(folder)) ? beginIn : continueIn;
    // A block never reaches beyond the next saved state: what a crash can lose is bounded by `every`.
    const blockSize = (event: DpEvent | null): number =>
      sameCharge(event, host.plan.event)
        ? Math.max(1, Math.min(reserve, checkpoint.#savedAt + every - host.steps(), host.remainingSteps()))
        : 1;
    const { chain, lock, resumedAt } = begin(host, folder, about);
    const journal = new Journal(join(folder, LEDGER_FILE), chain, blockSize);
    const checkpoint = new Checkpoint(folder, host, every, about, journal, lock, resumedAt);
    host.ledger.keepIn(journal);
    return checkpoint;
  }

  /**
   * Saves the state of the last complete logical step now.
   *
   * @throws ERR_CHECKPOINT_WRITE: then the state that was saved before is still there. ERR_ENGINE_STATE when closed or detached.
   */
  save(): void {
    this.#checkOpen('save');
    addSnapshot(this.folder, content(this.host, this.about, this.journal.run, this.journal.head));
    this.#savedAt = this.host.steps();
  }

  /** Saves what is not saved yet, and gives back the steps that were reserved and not taken. The engine takes no more steps. */
  close(): void {
    if (!this.#open) return;
    if (this.host.steps() !== this.#savedAt) this.save();
    this.journal.close(this.host.ledger);
    this.#release();
  }

  /** Takes the whole folder away, saved or not: for a run whose results are safe elsewhere, with their statement. */
  remove(): void {
    try {
      removeFolderSync(this.folder);
    } catch (error) {
      raise('ERR_CHECKPOINT_WRITE', `${this.folder}: cannot be removed: ${(error as Error).message}.`, error);
    }
    this.journal.abandon();
    this.#release();
  }

  /** @internal After each logical step. */
  stepped(): void {
    const due = this.host.steps() - this.#savedAt >= this.every || this.host.remainingSteps() === 0;
    if (this.#open && due) this.save();
  }

  /** @internal The engine ends, perhaps because something failed: nothing is saved, what was not used is given back. */
  leave(): void {
    if (!this.#open) return;
    try {
      this.journal.close(this.host.ledger);
    } catch {
      this.journal.abandon(); // what could not be given back stays spent
    }
    this.#release();
  }

  #checkOpen(operation: string): void {
    if (!this.#open) raise('ERR_ENGINE_STATE', `${operation}: the checkpoint ${this.folder} is closed.`);
  }

  #release(): void {
    this.#open = false;
    this.lock.release();
  }
}

/**
 * What a checkpoint holds, without an engine; nothing is changed. Every file is verified.
 *
 * @throws ERR_CHECKPOINT_NOT_FOUND, ERR_CHECKPOINT_DAMAGED, ERR_CHECKPOINT_MISMATCH (another format).
 */
export function readCheckpoint(folder: string): CheckpointSummary {
  check.text('readCheckpoint', { folder });
  const { chain, snapshot } = readWhole(folder);
  const { step, written, description, notes } = snapshot.state;
  const { configuration } = description as { configuration: unknown };
  return { steps: step, ledger: totals(chain, join(folder, LEDGER_FILE)), configuration, notes, written };
}
