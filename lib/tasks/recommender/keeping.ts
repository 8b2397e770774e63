// What the checkpoint of a recommender's run compares and remembers.

import { createHash } from 'node:crypto';
import { resolve } from 'node:path';

import type { Checkpoint } from '../../privacy';
import { type Keeping, openCheckpoint as openIn } from '../run/keeping';
import type { Job } from './job';
import { type RecommenderOptions, TASK } from './options';

/** Begins or goes on. The engine of `job` must be attached. */
export function openCheckpoint(keeping: Keeping, job: Job, wanted: RecommenderOptions): Checkpoint {
  const { options, histories, train, learningRate, engine } = job;
  const {
    validation,
    data: _data,
    catalogue: _catalogue,
    plain: _plain,
    quick: _quick,
    device: _device,
    ...settings
  } = options;
  const { itemIds, vocabulary } = histories.interactions;
  return openIn(keeping, engine, {
    task: TASK,
    data: train,
    configuration: {
      options: { ...settings, ...(validation && { validation }) },
      learningRate,
      vocabulary,
      itemIds: createHash('sha256').update(itemIds.join('\n')).digest('hex'), // the fingerprint knows items by number
    },
    options: absolute(wanted),
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
