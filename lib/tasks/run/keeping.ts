// The checkpoint of a run, whatever is trained: where it lies, when a run goes on, and what it remembers.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import * as check from '../../check';
import { raise } from '../../errors';
import { type Checkpoint, hasCheckpoint, type PrivacyEngine, readCheckpoint } from '../../privacy';
import { RUN_FILES } from './folder';

/** How often a run saves and measures. A run that goes on keeps its pace; what is given then is the pace from there on. */
export interface Pace {
  /** Steps between two saved states. */
  readonly checkpointEvery?: number | undefined;
  /** Epochs between two measurements. */
  readonly evaluateEvery?: number | undefined;
}

export interface Keeping {
  readonly out: string;
  readonly folder: string;
  /** Whether there is a run to go on with. */
  readonly going: boolean;
  /** The options that it was begun with; none where it begins. */
  readonly stored: object;
  readonly pace: Pace;
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
 * @throws ERR_INVALID_ARGUMENT. ERR_CHECKPOINT_NOT_FOUND: `resume: true` where nothing waits. ERR_CHECKPOINT_DAMAGED,
 *   ERR_CHECKPOINT_MISMATCH for one of something else.
 */
export function keepIn(task: string, out: string | undefined, resume: boolean | 'auto', said: Pace): Keeping | null {
  const { checkpointEvery, evaluateEvery } = said;
  check.oneOf(task, { resume }, [true, false, 'auto']);
  if (checkpointEvery !== undefined) check.integer(task, { checkpointEvery }, 1);
  if (evaluateEvery !== undefined) check.positive(task, { evaluateEvery });
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
  if (resume === false || !there) return { out, folder, going: false, stored: {}, pace: said };
  const { options, pace } = remembered(task, folder);
  return { out, folder, going: true, stored: options, pace: { ...pace, ...given(said) } };
}

interface Notes {
  readonly task: string;
  readonly options: object;
  readonly pace?: Pace;
}

function remembered(task: string, folder: string): Notes {
  const notes = (readCheckpoint(folder).notes ?? {}) as Partial<Notes>;
  if (notes.task !== task || typeof notes.options !== 'object' || notes.options === null) {
    return raise('ERR_CHECKPOINT_MISMATCH', `${folder}: is not a checkpoint of ${task}.`);
  }
  return notes as Notes;
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
  /** What {@link keepIn} gives back as `stored`. */
  readonly options: object;
}

/** Begins or goes on. The engine must be attached. */
export function openCheckpoint(
  { folder, going, pace }: Keeping,
  engine: PrivacyEngine,
  { task, data, configuration, options }: Kept,
): Checkpoint {
  const { checkpointEvery: every } = pace;
  const notes: Notes = { task, options, pace };
  return engine.checkpoint(folder, {
    data,
    ...(every === undefined ? {} : { every }),
    resume: going,
    configuration: { task, ...configuration },
    notes,
  });
}
