// The folder of a run: weights, configuration, privacy statement and metrics, complete or recognisably not.

import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { PhantomgradError, raise } from '../../errors';
import { replaceFile } from '../../files';
import type { SequentialModel } from '../../models/sequential-model';
import { loadWeights, saveWeights } from '../../models/weights';
import { noGrad, type Tensor } from '../../tensor';
import { biasTensors, restoreBias } from './bias-tensor';
import { noiseTensors, restoreNoise } from './noise-tensors';
import { kindOf, modelOf } from './model';
import { checkRunConfig, type RunConfig } from './run-config';

/** Names inside a run folder. */
export const RUN_FILES = {
  weights: 'model.safetensors',
  config: 'config.json',
  privacy: 'privacy.json',
  metrics: 'metrics.jsonl',
} as const;

const UNBEGUN: readonly string[] = [RUN_FILES.metrics, 'checkpoint.part'];

/** config.json without what the model says itself. */
export type RunDescription = Omit<RunConfig, 'model_type' | 'architectures' | 'model'>;

export interface Run {
  readonly model: SequentialModel;
  readonly config: RunConfig;
  /** privacy.json as it stands there. */
  readonly privacy: Readonly<Record<string, unknown>>;
}

/** Refuses a folder that holds anything: a run never overwrites another. @throws ERR_RUN_FOLDER */
export async function refuseOccupied(folder: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    return raise('ERR_RUN_FOLDER', `${folder}: is not a folder that a run can be written to.`, error);
  }
  if (names.length === 0) return;
  const what = names.includes(RUN_FILES.config) ? 'holds another run' : `is not empty (${names[0]} …)`;
  raise('ERR_RUN_FOLDER', `${folder}: ${what}. Choose a folder that does not exist, or remove this one.`);
}

/** Clears a folder in which a run was killed before its first saved state: nothing of the data was released there. */
export async function clearUnbegun(folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  if (!names.includes(RUN_FILES.metrics) || names.some((name) => !UNBEGUN.includes(name))) return;
  for (const name of names) await rm(join(folder, name), { recursive: true });
}

/** Makes the folder. @throws ERR_RUN_FOLDER when it holds anything or cannot be made. */
export async function makeRunFolder(folder: string): Promise<void> {
  await refuseOccupied(folder);
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    raise('ERR_RUN_FOLDER', `${folder}: cannot be made: ${(error as Error).message}.`, error);
  }
}

/**
 * Writes weights, configuration and statement. The weights come last: a folder with weights always has the statement that belongs
 * to them, whatever ends the process in between.
 */
export async function writeRun(
  folder: string,
  model: SequentialModel,
  description: RunDescription,
  privacy: object,
): Promise<void> {
  const config: RunConfig = {
    ...kindOf(model),
    ...description,
  };
  await replaceFile(join(folder, RUN_FILES.privacy), `${JSON.stringify(privacy, null, 2)}\n`);
  await replaceFile(join(folder, RUN_FILES.config), `${JSON.stringify(config, null, 2)}\n`);
  const beside = [...noiseTensors(model), ...biasTensors(model)];
  try {
    const tensors = [...model.namedParameters(), ...beside];
    await saveWeights(join(folder, RUN_FILES.weights), tensors, { model_type: config.model_type });
  } finally {
    for (const [, tensor] of beside) tensor.dispose();
  }
}

/**
 * Reads a run folder and builds its model, in evaluation mode.
 *
 * @throws ERR_RUN_FOLDER naming the file that is missing, malformed, or does not fit the others.
 */
export async function readRun(folder: string): Promise<Run> {
  const config = checkRunConfig(await readJson(folder, RUN_FILES.config), join(folder, RUN_FILES.config));
  const privacy = await readJson(folder, RUN_FILES.privacy);
  const path = join(folder, RUN_FILES.weights);
  let model: SequentialModel;
  try {
    model = modelOf(config);
  } catch (error) {
    if (!(error instanceof PhantomgradError) || error.code !== 'ERR_INVALID_ARGUMENT') throw error;
    return raise('ERR_RUN_FOLDER', `${join(folder, RUN_FILES.config)}: ${error.message}`, error);
  }
  try {
    await loadParameters(model, path);
  } catch (error) {
    model.dispose();
    throw error;
  }
  return { model: model.eval(), config, privacy };
}

async function loadParameters(model: SequentialModel, path: string): Promise<void> {
  const { tensors } = await loadWeights(path).catch((error: unknown) => {
    if (!(error instanceof PhantomgradError)) throw error;
    return raise('ERR_RUN_FOLDER', error.message, error);
  });
  const stored = new Map(tensors);
  try {
    for (const [name, parameter] of model.namedParameters()) {
      const tensor = stored.get(name);
      if (tensor === undefined) return raise('ERR_RUN_FOLDER', `${path}: ${name} is missing.`);
      if (tensor.shape.join() !== parameter.shape.join() || tensor.dtype !== parameter.dtype) {
        raise('ERR_RUN_FOLDER', `${path}: ${name} must be ${describe(parameter)}, is ${describe(tensor)}.`);
      }
      noGrad(() => parameter.copy_(tensor));
      stored.delete(name);
    }
    restoreNoise(model, stored, path);
    restoreBias(model, stored, path);
    const [extra] = stored.keys();
    if (extra !== undefined) raise('ERR_RUN_FOLDER', `${path}: ${extra} is not a parameter of the model.`);
  } finally {
    for (const tensor of tensors.values()) tensor.dispose();
  }
}

function describe({ dtype, shape }: Tensor): string {
  return `${dtype} [${shape.join(', ')}]`;
}

async function readJson(folder: string, name: string): Promise<Record<string, unknown>> {
  const path = join(folder, name);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return raise(
      'ERR_RUN_FOLDER',
      `${path}: cannot be read; ${folder} is no run folder, or its run never finished.`,
      error,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return raise('ERR_RUN_FOLDER', `${path}: is not JSON: ${(error as Error).message}.`, error);
  }
  if (typeof value !== 'object' || value === null) return raise('ERR_RUN_FOLDER', `${path}: is not a JSON object.`);
  return value as Record<string, unknown>;
}
