// The folder of a fine-tuned model: what Python's transformers loads, with the statement, the settings and the metrics beside it.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { raise } from '../../errors';
import { replaceFile } from '../../files';
import type { Json } from '../../models/pretrained/config';
import type { PrivacyStatement } from '../../privacy';
import { VERSION } from '../../version';
import { readJson, RUN_FILES } from '../run/folder';
import type { Job } from './job';
import type { FineTuneTask } from './options';
import { copyTokenizer } from './tokenizers';

/** What was trained, and how: everything that evaluating and generating need beside the model. */
export const SETTINGS_FILE = 'training.json';

/** training.json. */
export interface TrainingSettings {
  /** Version of this library that wrote the folder. */
  readonly phantomgrad: string;
  readonly task: FineTuneTask;
  readonly settings: Json;
  readonly training: Json;
}

/** Whether a folder holds a fine-tuned model, finished or not. */
export function isFineTuned(folder: string): boolean {
  return existsSync(join(folder, SETTINGS_FILE));
}

/**
 * Writes statement, settings, tokenizer and model, with README.md that repeats the statement. The weights come last: a folder with weights always has the statement that belongs to
 * them, whatever ends the process in between.
 */
export async function writeModel(folder: string, job: Job, statement: PrivacyStatement): Promise<void> {
  const { material, model, options, sampler, steps, task } = job;
  const { epochs, learningRate, warmup, weightDecay, groupScale, average, trains, seed } = options;
  const training = {
    ...{ epochs, steps, batchSize: sampler.batchSize, learningRate, warmup, weightDecay, groupScale, average, trains },
    seed,
  };
  const settings: TrainingSettings = { phantomgrad: VERSION, task: task.name, settings: material.settings, training };
  const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;
  await replaceFile(join(folder, RUN_FILES.privacy), json(statement));
  await replaceFile(join(folder, SETTINGS_FILE), json(settings));
  if (material.tokenizer !== null) await copyTokenizer(material.tokenizer, folder);
  await model.savePretrained(folder, { card: { statement } });
}

/** @throws ERR_RUN_FOLDER for a folder without training.json, or one that is malformed or unfinished. */
export async function readSettings(folder: string, tasks: readonly string[]): Promise<TrainingSettings> {
  const path = join(folder, SETTINGS_FILE);
  const value = (await readJson(folder, SETTINGS_FILE)) as Partial<TrainingSettings>;
  if (typeof value.task !== 'string' || !tasks.includes(value.task))
    return raise(
      'ERR_RUN_FOLDER',
      `${path}: task must be one of ${tasks.join(', ')}, is ${JSON.stringify(value.task)}.`,
    );
  if (typeof value.settings !== 'object' || value.settings === null)
    return raise('ERR_RUN_FOLDER', `${path}: settings must be an object.`);
  if (!existsSync(join(folder, RUN_FILES.weights)))
    return raise('ERR_RUN_FOLDER', `${folder}: has no ${RUN_FILES.weights}: its run never finished.`);
  return value as TrainingSettings;
}
