// One saved state: files in a folder of their own, written at once, and read only when every byte is what was written.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { PhantomgradError, raise } from '../../errors';
import { createFolderSync, type FolderContent, removeFolderSync } from '../../files';
import type { OptimizerState } from '../../optim';
import type { Tensor } from '../../tensor';
import { decodeTensors } from '../../tensor';
import type { ErrorFeedState } from '../error-feed';
import type { LedgerRecord } from '../ledger';
import { hash } from './ledger-file';

export const SNAPSHOT_FILES = {
  state: 'state.json',
  weights: 'weights.safetensors',
  optimizer: 'optimizer.safetensors',
  checksums: 'SHA256SUMS',
} as const;

const FORMAT = 1;
const KEPT = 2; // the newest state and the one before it
const NAME = /^state-(\d{6,})$/;

/** state.json. JSON only. */
export interface SavedState {
  readonly format: typeof FORMAT;
  readonly written: string;
  /** Which ledger belongs to it, and the hash of its last line at that time. */
  readonly run: string;
  readonly ledgerHead: string;
  /** Logical steps taken. */
  readonly step: number;
  /** What had been charged: steps, those that were lost, and everything else. */
  readonly ledger: LedgerRecord;
  readonly optimizer: Omit<OptimizerState, 'kind' | 'tensors'>;
  /** C of the step at hand, where it moves. */
  readonly maxGradNorm: number | null;
  /** What a model with Re-Attention was told, and what it has made of it. */
  readonly error: ErrorFeedState;
  readonly sampler: {
    readonly kind: string;
    readonly batchSize: number;
    readonly records: number;
    readonly position: number;
  };
  /** Everything that must be the same when the run is continued. */
  readonly description: unknown;
  /** The caller's, kept and not compared. */
  readonly notes: unknown;
  readonly versions: Readonly<Record<string, string>>;
}

/** A state as read: tensors are in memory of their own, the caller's to free. */
export interface Snapshot {
  readonly path: string;
  readonly state: SavedState;
  readonly weights: () => ReadonlyMap<string, Tensor>;
  readonly optimizer: () => ReadonlyMap<string, Tensor>;
}

/** Content of a state's folder, with a checksum over all of it. */
export function snapshotContent(
  state: Omit<SavedState, 'format'>,
  weights: Uint8Array,
  optimizer: Uint8Array,
): FolderContent {
  const files = {
    [SNAPSHOT_FILES.state]: Buffer.from(`${JSON.stringify({ format: FORMAT, ...state }, null, 2)}\n`),
    [SNAPSHOT_FILES.weights]: weights,
    [SNAPSHOT_FILES.optimizer]: optimizer,
  };
  const sums = Object.entries(files).map(([name, bytes]) => `${hash(bytes)}  ${name}\n`);
  // The last line is over the others; `sha256sum -c` skips it.
  return { ...files, [SNAPSHOT_FILES.checksums]: `${sums.join('')}# ${hash(sums.join(''))}\n` };
}

/** Names of the states in a checkpoint, oldest first. */
export function snapshotNames(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => NAME.test(name))
    .sort((a, b) => numberOf(a) - numberOf(b));
}

/** The name that follows `names`. */
export function nextName(names: readonly string[]): string {
  return `state-${String(numberOf(names.at(-1) ?? 'state-000000') + 1).padStart(6, '0')}`;
}

/** Writes a state, then takes away all but it and the one before. @throws ERR_CHECKPOINT_WRITE: then the older ones are there. */
export function addSnapshot(folder: string, content: FolderContent): void {
  try {
    createFolderSync(join(folder, nextName(snapshotNames(folder))), content);
    for (const name of snapshotNames(folder).slice(0, -KEPT)) removeFolderSync(join(folder, name));
  } catch (error) {
    raise('ERR_CHECKPOINT_WRITE', `${folder}: no state can be written: ${(error as Error).message}.`, error);
  }
}

/**
 * Reads the newest state of a checkpoint.
 *
 * @throws ERR_CHECKPOINT_DAMAGED naming the file and what can be done. @throws ERR_CHECKPOINT_MISMATCH for another format.
 */
export function readSnapshot(folder: string): Snapshot {
  const names = snapshotNames(folder);
  const [name, before] = [names.at(-1), names.at(-2)];
  if (name === undefined) return raise('ERR_CHECKPOINT_DAMAGED', `${folder}: its states are missing.`);
  const path = join(folder, name);
  const remedy =
    before === undefined
      ? 'Put back a copy of this file.'
      : `Put back a copy of it, or remove ${path} to continue from ${before}: steps since then stay spent.`;
  const bytes = verified(path, remedy);
  const read = (file: string): ReadonlyMap<string, Tensor> => {
    try {
      return decodeTensors(bytes(file), join(path, file)).tensors;
    } catch (error) {
      if (!(error instanceof PhantomgradError) || error.code !== 'ERR_DATA_FORMAT') throw error;
      return raise('ERR_CHECKPOINT_DAMAGED', `${error.message} ${remedy}`, error);
    }
  };
  return {
    path,
    state: parseState(bytes(SNAPSHOT_FILES.state).toString('utf8'), join(path, SNAPSHOT_FILES.state), remedy),
    weights: () => read(SNAPSHOT_FILES.weights),
    optimizer: () => read(SNAPSHOT_FILES.optimizer),
  };
}

/** Reads all files of a state and compares their hashes. */
function verified(path: string, remedy: string): (file: string) => Buffer {
  const damaged = (file: string, what: string): never =>
    raise('ERR_CHECKPOINT_DAMAGED', `${join(path, file)}: ${what}. ${remedy}`);
  const load = (file: string): Buffer => {
    if (!existsSync(join(path, file))) return damaged(file, 'is missing');
    try {
      return readFileSync(join(path, file));
    } catch (error) {
      return damaged(file, `cannot be read: ${(error as Error).message}`);
    }
  };
  const { checksums, ...rest } = SNAPSHOT_FILES;
  const text = load(checksums).toString('latin1');
  const [, sums, own] = /^([^#]*)# ([0-9a-f]{64})\n$/.exec(text) ?? damaged(checksums, 'is cut off or changed');
  if (hash(sums as string) !== own) return damaged(checksums, 'is cut off or changed');
  const files = new Map(Object.values(rest).map((file) => [file as string, load(file)]));
  for (const [file, bytes] of files) {
    if (!(sums as string).includes(`${hash(bytes)}  ${file}\n`)) damaged(file, 'is cut off or changed');
  }
  return (file) => files.get(file) as Buffer;
}

function parseState(text: string, path: string, remedy: string): SavedState {
  let state: Omit<SavedState, 'format'> & { readonly format: number };
  try {
    state = JSON.parse(text) as typeof state;
  } catch (error) {
    return raise('ERR_CHECKPOINT_DAMAGED', `${path}: is not JSON. ${remedy}`, error);
  }
  if (state.format !== FORMAT) {
    raise(
      'ERR_CHECKPOINT_MISMATCH',
      `${path}: is of format ${JSON.stringify(state.format)}, this version reads ${FORMAT}.`,
    );
  }
  return state as SavedState;
}

function numberOf(name: string): number {
  return Number(NAME.exec(name)?.[1] ?? 0);
}
