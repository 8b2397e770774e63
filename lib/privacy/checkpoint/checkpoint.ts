// A checkpoint: the state of a run on disk, and the ledger that no crash can lower.

import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

import * as check from '../../check';
import { raise } from '../../errors';
import { createFolderSync, type FolderContent, removeFolderSync } from '../../files';
import type { Optimizer } from '../../optim';
import { encodeTensors, noGrad, type Tensor, tidy } from '../../tensor';
import { VERSION } from '../../version';
import type { DpEvent } from '../accounting/events';
import type { TrainableModel } from '../attached';
import type { GroupAssignment } from '../clip';
import { Ledger, type LedgerRecord } from '../ledger';
import type { DpPlan } from '../plan';
import { describeRun, differences, type Fingerprinted, plainJson } from './description';
import { FolderLock, LOCK_FILE, lockMark } from './folder-lock';
import { Journal, readChain } from './journal';
import { append, encodeChain, headOf, type LedgerChain, runOf, sameCharge, totals } from './ledger-file';
import {
  addSnapshot,
  nextName,
  readSnapshot,
  type SavedState,
  type Snapshot,
  snapshotContent,
  snapshotNames,
} from './snapshot';

const LEDGER_FILE = 'ledger.log';

export interface CheckpointOptions {
  /** The training data; a checkpoint is continued on the same data only. `SequenceDataset` has a fingerprint. */
  readonly data: Fingerprinted;
  /** Steps between two saved states. Default: a twentieth of the planned steps. */
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

/** @internal What a checkpoint needs of an engine. */
export interface CheckpointHost {
  readonly plan: DpPlan;
  readonly model: TrainableModel;
  readonly ledger: Ledger;
  readonly groups: GroupAssignment | null;
  optimizer(operation: string): Optimizer;
  steps(): number;
  remainingSteps(): number;
  /** C where it moves, and what else is not in the parameters. */
  state(): Pick<SavedState, 'maxGradNorm' | 'error'>;
  /** Takes all of this over; `load` writes the parameters in place. */
  restore(saved: SavedState, load: () => void): void;
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

/** Whether a folder holds a checkpoint, whole or damaged. */
export function hasCheckpoint(folder: string): boolean {
  if (!existsSync(folder)) return false;
  try {
    return existsSync(join(folder, LEDGER_FILE)) || snapshotNames(folder).length > 0;
  } catch {
    return false; // no folder
  }
}

/**
 * What a checkpoint holds, without an engine; nothing is changed. Every file is verified.
 *
 * @throws ERR_CHECKPOINT_NOT_FOUND, ERR_CHECKPOINT_DAMAGED, ERR_CHECKPOINT_MISMATCH (another format).
 */
export function readCheckpoint(folder: string): CheckpointSummary {
  const { chain, snapshot } = readWhole(folder);
  const { step, written, description, notes } = snapshot.state;
  const { configuration } = description as { configuration: unknown };
  return { steps: step, ledger: totals(chain, join(folder, LEDGER_FILE)), configuration, notes, written };
}

/** What is written beside the state. */
interface About {
  readonly description: unknown;
  readonly notes: unknown;
}

interface Begun {
  readonly chain: LedgerChain;
  readonly lock: FolderLock;
  readonly resumedAt: number | null;
}

function beginIn(host: CheckpointHost, folder: string, about: About): Begun {
  if (hasCheckpoint(folder)) {
    raise(
      'ERR_CHECKPOINT_WRITE',
      `${folder}: holds a checkpoint already. Continue it (resume: true), or choose another folder.`,
    );
  }
  const run = randomUUID();
  const chain = append({ lines: [], hashes: [] }, { kind: 'open', run, before: host.ledger.toJSON() });
  const { mark, text } = lockMark();
  try {
    mkdirSync(dirname(folder), { recursive: true });
    createFolderSync(folder, {
      [LEDGER_FILE]: encodeChain(chain),
      [LOCK_FILE]: text,
      [nextName([])]: content(host, about, run, headOf(chain)),
    });
  } catch (error) {
    raise('ERR_CHECKPOINT_WRITE', `${folder}: no checkpoint can be made: ${(error as Error).message}.`, error);
  }
  return { chain, lock: FolderLock.made(folder, mark), resumedAt: null };
}

function continueIn(host: CheckpointHost, folder: string, { description }: About): Begun {
  if (!hasCheckpoint(folder)) return notFound(folder);
  if (host.steps() > 0 || host.ledger.events.length > 0 || host.ledger.unprotected > 0) {
    raise(
      'ERR_ENGINE_STATE',
      'checkpoint: this engine has released something already. Resume with a new engine, before its first batch.',
    );
  }
  const lock = FolderLock.take(folder);
  try {
    const { chain, snapshot } = readWhole(folder);
    const different = differences(snapshot.state.description, description);
    if (different.length > 0) {
      raise(
        'ERR_CHECKPOINT_MISMATCH',
        `${folder}: this run is not the one that was saved. Make it the same, or begin a new one:\n  ${different.join('\n  ')}`,
      );
    }
    const path = join(folder, LEDGER_FILE);
    const spent = totals(chain, path);
    const { step } = snapshot.state;
    removeLeftovers(folder);
    const resumed = tidy(() => {
      const { loadWeights, loadOptimizer } = prepared(host, snapshot);
      const charged = chargedSteps(spent, host.plan);
      // From here on the run exists, and what was reserved since the state was saved is lost.
      const journal = new Journal(path, chain, () => 1);
      journal.write({ kind: 'resume', step, lost: charged - chargedSteps(snapshot.state.ledger, host.plan) });
      host.ledger.add(spent);
      host.restore(snapshot.state, loadWeights);
      loadOptimizer();
      return readChain(path);
    });
    return { chain: resumed, lock, resumedAt: step };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Both parts, each verified, and that they belong together. */
function readWhole(folder: string): { chain: LedgerChain; snapshot: Snapshot } {
  if (!hasCheckpoint(folder)) return notFound(folder);
  const path = join(folder, LEDGER_FILE);
  const chain = readChain(path);
  const snapshot = readSnapshot(folder);
  const { run, ledgerHead } = snapshot.state;
  if (run !== runOf(chain)) {
    raise('ERR_CHECKPOINT_DAMAGED', `${path}: belongs to another run than ${snapshot.path}. Put back the right one.`);
  }
  if (!chain.hashes.includes(ledgerHead)) {
    raise(
      'ERR_CHECKPOINT_DAMAGED',
      `${path}: lacks what ${snapshot.path} says was spent; it is an older one, or was changed. Put back the newest.`,
    );
  }
  return { chain, snapshot };
}

/** Decodes everything before anything is changed. */
function prepared(host: CheckpointHost, snapshot: Snapshot): { loadWeights: () => void; loadOptimizer: () => void } {
  const optimizer = host.optimizer('checkpoint');
  const weights = snapshot.weights();
  const moments = snapshot.optimizer();
  const pairs = [...host.model.namedParameters()].map(
    ([name, parameter]) => [parameter, weights.get(name) ?? missing(snapshot, name)] as const,
  );
  return {
    loadWeights: () =>
      noGrad(() => {
        for (const [parameter, tensor] of pairs) parameter.copy_(tensor);
      }),
    loadOptimizer: () =>
      optimizer.loadStateDict({
        ...snapshot.state.optimizer,
        kind: optimizer.kind,
        tensors: Object.fromEntries(moments),
      }),
  };
}

function content(host: CheckpointHost, about: About, run: string, ledgerHead: string): FolderContent {
  const optimizer = host.optimizer('checkpoint');
  const { steps, lr, layout, tensors } = optimizer.stateDict();
  const { sampler, records } = host.plan;
  const step = host.steps();
  const state = {
    written: new Date().toISOString(),
    run,
    ledgerHead,
    step,
    ledger: host.ledger.toJSON(),
    optimizer: { steps, lr, layout },
    ...(plainJson(host.state()) as ReturnType<CheckpointHost['state']>),
    // A Poisson draw remembers nothing of the draws before it: the step is its whole position.
    sampler: { kind: sampler.kind, batchSize: sampler.batchSize, records, position: step },
    ...about,
    versions: { phantomgrad: VERSION, node: process.versions.node },
  };
  const weights: Iterable<readonly [string, Tensor]> = host.model.namedParameters();
  return tidy(() => snapshotContent(state, encodeTensors(weights), encodeTensors(Object.entries(tensors))));
}

/** Steps that a record has paid for. */
function chargedSteps(record: LedgerRecord, { event }: DpPlan): number {
  return Ledger.fromJSON(record).charged(event);
}

// Files of a process that was killed while it wrote.
function removeLeftovers(folder: string): void {
  try {
    for (const name of readdirSync(folder)) {
      if (/\.(part|removed)$/.test(name)) rmSync(join(folder, name), { recursive: true, force: true });
    }
  } catch (error) {
    raise('ERR_CHECKPOINT_WRITE', `${folder}: cannot be changed: ${(error as Error).message}.`, error);
  }
}

function notFound(folder: string): never {
  return raise('ERR_CHECKPOINT_NOT_FOUND', `${folder}: holds no checkpoint that could be continued.`);
}

function missing({ path }: Snapshot, name: string): never {
  return raise('ERR_CHECKPOINT_DAMAGED', `${path}: the weights lack ${name}.`);
}
