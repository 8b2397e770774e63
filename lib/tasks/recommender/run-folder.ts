// The folder of a run: weights, configuration, privacy statement and metrics, complete or recognisably not.

import { join } from 'node:path';

import { PhantomgradError, raise } from '../../errors';
import { replaceFile } from '../../files';
import type { SequentialModel } from '../../models/sequential-model';
import { loadWeights, saveWeights } from '../../models/weights';
import { noGrad, type Tensor } from '../../tensor';
import { readJson, RUN_FILES } from '../run/folder';
import { biasTensors, restoreBias } from './bias-tensor';
import { noiseTensors, restoreNoise } from './noise-tensors';
import { kindOf, modelOf } from './model';
import { checkRunConfig, type RunConfig } from './run-config';

/** config.json without what the model says itself. */
export type RunDescription = Omit<RunConfig, 'model_type' | 'architectures' | 'model'>;

export interface Run {
  readonly model: SequentialModel;
  readonly config: RunConfig;
  /** privacy.json as it stands there. */
  readonly privacy: Readonly<Record<string, unknown>>;
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
