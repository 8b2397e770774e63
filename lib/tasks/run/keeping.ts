// The checkpoint of a run, whatever is trained: where it lies, when a run goes on, and the options that it remembers.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import * as check from '../../check';
import { raise } from '../../errors';
import { type Checkpoint, hasCheckpoint, type PrivacyEngine, readCheckpoint } from '../../privacy';
import { RUN_FILES } from './folder';

export interface Keeping {
  readonly out: string;
  readonly folder: string;
  /** Whether there is a run to go on with. */
  readonly going: boolean;
  readonly every: number | undefined;
}

function checkpointFolder(out: string): string {
  return join(out, 'checkpoint');
}

/** Whether a run folder holds a run that is not finished. */
export function canResume(out: string): boolean {
  return hasCheckpoint(checkpointFolder(out));
}

/**
 * Decides whether a run begins or goes on; null for a run that writes nothing.
 *
 * @param task  As in «train recommender».
 * @throws ERR_INVALID_ARGUMENT. ERR_CHECKPOINT_NOT_FOUND: `resume: true` where nothing waits.
 */
export function keepIn(
  task: string,
  out: string | undefined,
  resume: boolean | 'auto',
  checkpointEvery: number | undefined,
): Keeping | null {
  check.oneOf(task, { resume }, [true, false, 'auto']);
  if (checkpointEvery !== undefined) check.integer(task, { checkpointEvery }, 1);
  if (out === undefined) {
    if (resume === false && checkpointEvery === undefined) return null;
    return raise('ERR_INVALID_ARGUMENT', `${task}: a run without a folder keeps no checkpoint. Name one with out.`);
  }
  const folder = checkpointFolder(out);
  const there = canResume(out);
  if (resume === true && !there) {
    const finished = existsSync(join(out, RUN_FILES.weights));
    raise(
      'ERR_CHECKPOINT_NOT_FOUND',
      `${out}: holds no run that could go on${finished ? '; the one in it is finished' : ''}.`,
    );
  }
  return { out, folder, going: resume !== false && there, every: checkpointEvery };
}

/** The options that the run was begun with. @throws ERR_CHECKPOINT_DAMAGED, ERR_CHECKPOINT_MISMATCH for one of something else. */
export function storedOptions(task: string, { folder }: Keeping): object {
  const { notes } = readCheckpoint(folder);
  const { task: other, options } = (notes ?? {}) as { task?: unknown; options?: object | null };
  if (other !== task || typeof options !== 'object' || options === null) {
    return raise('ERR_CHECKPOINT_MISMATCH', `${folder}: is not a checkpoint of ${task}.`);
  }
  return options;
}

/** Options that were said: one that is undefined leaves the stored one. */
export function given<O extends object>(options: O): O {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as O;
}

export interface Kept {
  readonly task: string;
  readonly data: { fingerprint(): string };
  /** What must not change between the parts of a run. */
  readonly configuration: object;
  /** What {@link storedOptions} gives back. */
  readonly options: object;
}

/** Begins or goes on. The engine must be attached. */
export function openCheckpoint(
  { folder, going, every }: Keeping,
  engine: PrivacyEngine,
  { task, data, configuration, options }: Kept,
): Checkpoint {
  return engine.checkpoint(folder, {
    data,
    ...(every === undefined ? {} : { every }),
    resume: going,
    configuration: { task, ...configuration },
    notes: { task, options },
  });
}
