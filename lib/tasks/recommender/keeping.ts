// The checkpoint of a run: where it lies, what must be the same to go on, and the options that it remembers.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

import * as check from '../../check';
import { raise } from '../../errors';
import { type Checkpoint, hasCheckpoint, readCheckpoint } from '../../privacy';
import type { Job } from './job';
import type { RecommenderOptions } from './options';
import { RUN_FILES } from './run-folder';

const TASK = 'train recommender';

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
 * @throws ERR_INVALID_ARGUMENT. ERR_CHECKPOINT_NOT_FOUND: `resume: true` where nothing waits.
 */
export function keepIn(
  out: string | undefined,
  resume: boolean | 'auto',
  checkpointEvery: number | undefined,
): Keeping | null {
  check.oneOf(TASK, { resume }, [true, false, 'auto']);
  if (checkpointEvery !== undefined) check.integer(TASK, { checkpointEvery }, 1);
  if (out === undefined) {
    if (resume === false && checkpointEvery === undefined) return null;
    return raise('ERR_INVALID_ARGUMENT', `${TASK}: a run without a folder keeps no checkpoint. Name one with out.`);
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
export function storedOptions({ folder }: Keeping): RecommenderOptions {
  const { notes } = readCheckpoint(folder);
  const { task, options } = (notes ?? {}) as { task?: unknown; options?: RecommenderOptions };
  if (task !== TASK || typeof options !== 'object') {
    return raise('ERR_CHECKPOINT_MISMATCH', `${folder}: is not a checkpoint of ${TASK}.`);
  }
  return options;
}

/** Begins or goes on. The engine of `job` must be attached. */
export function openCheckpoint({ folder, going, every }: Keeping, job: Job, wanted: RecommenderOptions): Checkpoint {
  const { options, histories, split, learningRate, engine } = job;
  const { data: _data, catalogue: _catalogue, plain: _plain, quick: _quick, ...settings } = options;
  const { itemIds, vocabulary } = histories.interactions;
  return engine.checkpoint(folder, {
    data: split.train,
    ...(every === undefined ? {} : { every }),
    resume: going,
    configuration: {
      task: TASK,
      options: settings,
      learningRate,
      vocabulary,
      itemIds: createHash('sha256').update(itemIds.join('\n')).digest('hex'), // the fingerprint knows items by number
    },
    notes: { task: TASK, options: absolute(wanted) },
  });
}

// Whoever goes on may stand in another folder.
function absolute(options: RecommenderOptions): RecommenderOptions {
  const { data, catalogue } = options;
  return {
    ...options,
    ...(data === undefined ? {} : { data: resolve(data) }),
    ...(catalogue === undefined ? {} : { catalogue: resolve(catalogue) }),
  };
}
