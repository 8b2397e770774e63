// How a checkpoint begins: new in an empty place, or read, verified and compared before anything of the engine is changed.

import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

import * as check from '../../check';
import { raise } from '../../errors';
import { createFolderSync, type FolderContent } from '../../files';
import type { Optimizer } from '../../optim';
import { encodeTensors, noGrad, type Tensor, tidy } from '../../tensor';
import { VERSION } from '../../version';
import type { TrainableModel } from '../attached';
import type { GroupAssignment } from '../clip';
import { Ledger, type LedgerRecord } from '../ledger';
import type { DpPlan } from '../plan';
import { differences, plainJson } from './description';
import { FolderLock, LOCK_FILE, lockMark } from './folder-lock';
import { Journal, readChain } from './journal';
import { append, encodeChain, headOf, type LedgerChain, runOf, totals } from './ledger-file';
import { nextName, readSnapshot, type SavedState, type Snapshot, snapshotContent, snapshotNames } from './snapshot';

export const LEDGER_FILE = 'ledger.log';

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

/** Whether a folder holds a checkpoint, whole or damaged. */
export function hasCheckpoint(folder: string): boolean {
  check.text('hasCheckpoint', { folder });
  if (!existsSync(folder)) return false;
  try {
    return existsSync(join(folder, LEDGER_FILE)) || snapshotNames(folder).length > 0;
  } catch {
    return false; // no folder
  }
}

/** What is written beside the state. */
export interface About {
  readonly description: unknown;
  readonly notes: unknown;
}

export interface Begun {
  readonly chain: LedgerChain;
  readonly lock: FolderLock;
  readonly resumedAt: number | null;
}

/** Makes a new checkpoint. */
export function beginIn(host: CheckpointHost, folder: string, about: About): Begun {
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

/** Takes over the newest state of a checkpoint. */
export function continueIn(host: CheckpointHost, folder: string, { description }: About): Begun {
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
      const lost = charged - chargedSteps(snapshot.state.ledger, host.plan);
      const insecureSeed = spent.insecureSeed ?? snapshot.state.ledger.insecureSeed ?? host.ledger.insecureSeed;
      journal.write({ kind: 'resume', step, lost, ...(insecureSeed === undefined ? {} : { insecureSeed }) });
      host.ledger.add(spent);
      if (insecureSeed !== undefined) host.ledger.stampInsecure(insecureSeed);
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
export function readWhole(folder: string): { chain: LedgerChain; snapshot: Snapshot } {
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

/** A saved state of the engine as it is now. */
export function content(host: CheckpointHost, about: About, run: string, ledgerHead: string): FolderContent {
  const optimizer = host.optimizer('checkpoint');
  const { tensors, kind: _kind, ...moments } = optimizer.stateDict();
  const { sampler, records } = host.plan;
  const step = host.steps();
  const state = {
    written: new Date().toISOString(),
    run,
    ledgerHead,
    step,
    ledger: host.ledger.toJSON(),
    optimizer: moments,
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
