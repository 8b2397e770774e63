// Makes models: from a folder or the local hub cache with its weights, or from a configuration with fresh ones.

import { join } from 'node:path';

import * as check from '../../check';
import { raise } from '../../errors';
import { Initializer, type ParameterType } from '../../nn';
import { empty, type Tensor } from '../../tensor';
import { ConfigReader, type Json } from './config';
import type { Family, Origin } from './family';
import { readJson, readJsonIfAny } from './files';
import { modelFolder } from './hub';
import { loadInto } from './load';
import { loadPrefixBeside } from './prefix-adapter';
import { FAMILIES, type TaskModels, type TaskName } from './registry';

export interface FromConfigOptions<T extends TaskName = TaskName> {
  /** What the model is for. */
  readonly task: T;
  /** Type of all parameters; weights of other types are converted. Default float32. */
  readonly dtype?: ParameterType;
  /** Initial weights, and dropout. Default 0. */
  readonly seed?: number;
}

export interface FromPretrainedOptions<T extends TaskName = TaskName> extends FromConfigOptions<T> {
  /** The head starts afresh, whatever the file holds for one: the first step of fine-tuning. Default false: it must be there. */
  readonly newHead?: boolean;
  /** Classes, or values, of a new head. Default: what the configuration says. */
  readonly labels?: number;
  /** Branch, tag or commit in the hub cache. Default main. */
  readonly revision?: string;
}

/**
 * Loads a Hugging Face model for a task, as Python's `AutoModelFor….from_pretrained` does. Nothing is downloaded, and nothing in the
 * folder is run.
 *
 * @param nameOrFolder  A folder with config.json and safetensors files, or the name of a model in the local hub cache.
 * @throws ERR_MODEL_NOT_FOUND, ERR_MODEL_CONFIG for an unknown `model_type` (the message lists the known ones) or an option that is not
 *   built here, ERR_MODEL_WEIGHTS that lists all tensors that do not fit, ERR_DATA_FORMAT for files that are no safetensors.
 * @example const model = await models.fromPretrained('gpt2', { task: 'causal-lm' })
 */
export async function fromPretrained<T extends TaskName>(
  nameOrFolder: string,
  options: FromPretrainedOptions<T>,
): Promise<TaskModels[T]> {
  const known = ['task', 'dtype', 'seed', 'newHead', 'labels', 'revision'];
  check.onlyKnown('fromPretrained', options, known);
  const { newHead = false, labels, revision } = options;
  if (labels !== undefined) {
    check.integer('fromPretrained', { labels }, 1);
    if (!newHead) raise('ERR_INVALID_ARGUMENT', 'fromPretrained: labels belong to a new head: say newHead: true.');
  }
  const folder = modelFolder(nameOrFolder, revision);
  const file = join(folder, 'config.json');
  const read = await readJson(file);
  const config = labels === undefined ? read : { ...read, ...labelNames(labels), num_labels: labels };
  const generation = await readJsonIfAny(join(folder, 'generation_config.json'));
  const init = new Initializer(options.seed ?? 0);
  const model = make(config, file, options, new Blank(options.seed ?? 0), generation);
  try {
    const std = new ConfigReader(config, file).number('initializer_range', 0.02);
    await loadInto(model, folder, { newHead, init, std });
    await loadPrefixBeside(model, folder);
  } catch (error) {
    model.dispose();
    throw error;
  }
  return model;
}

/**
 * A model of the same families with fresh weights.
 *
 * @param config  What config.json would say; fields that are left out have Hugging Face's defaults.
 * @example const model = models.fromConfig({ model_type: 'gpt2', n_layer: 2, n_embd: 64, n_head: 2 }, { task: 'causal-lm' })
 */
export function fromConfig<T extends TaskName>(config: Json, options: FromConfigOptions<T>): TaskModels[T] {
  check.object('fromConfig', { config });
  check.onlyKnown('fromConfig', options, ['task', 'dtype', 'seed']);
  return make(config, 'config', options, new Initializer(options.seed ?? 0), null);
}

function make<T extends TaskName>(
  config: Json,
  file: string,
  { task, dtype = 'float32' }: FromConfigOptions<T>,
  init: Initializer,
  generation: Json | null,
): TaskModels[T] {
  const reader = new ConfigReader(config, file);
  check.oneOf('fromPretrained', { dtype }, ['float32', 'float64']);
  const family = familyOf(reader);
  const row = family.tasks[task];
  if (row === undefined) {
    return raise(
      'ERR_INVALID_ARGUMENT',
      `fromPretrained: ${family.modelType} models have no task ${JSON.stringify(task)}; known are ${Object.keys(family.tasks).join(', ')}.`,
    );
  }
  const model = row.build(reader, { init, dtype });
  model.origin = { family, task, config, generation } satisfies Origin;
  return model as TaskModels[T];
}

function familyOf(config: ConfigReader): Family {
  const type = config.raw.model_type;
  const family = FAMILIES.find(({ modelType }) => modelType === type);
  const known = FAMILIES.map(({ modelType }) => modelType).join(', ');
  return family ?? config.refuse(`model_type ${JSON.stringify(type)} is not known; known are ${known}`);
}

function labelNames(labels: number): Json {
  const names = Array.from({ length: labels }, (_, k) => `LABEL_${k}`);
  return {
    id2label: Object.fromEntries(names.map((name, k) => [String(k), name])),
    label2id: Object.fromEntries(names.map((name, k) => [name, k])),
  };
}

/** Leaves memory as it comes where a file is about to be read into it: drawing 10^8 normal numbers takes seconds. */
class Blank extends Initializer {
  override normal(shape: readonly number[], _std: number, dtype: ParameterType = 'float32'): Tensor {
    return empty(shape, { dtype });
  }
}
