// The memory that private training of a model takes, before any of it is taken: from the configuration alone.

import { join } from 'node:path';

import * as check from '../../check';
import { raise } from '../../errors';
import type { PretrainedModel, TaskName } from '../../models';
import { ConfigReader } from '../../models/pretrained/config';
import { readJson } from '../../models/pretrained/files';
import { FAMILIES } from '../../models/pretrained/registry';
import { Initializer, type ParameterType } from '../../nn';
import { empty, type Tensor } from '../../tensor';
import { DEFAULTS, type FineTuneTask, type Trains } from './options';
import { choose, sourceOf } from './source';

export interface MemoryPlanOptions {
  /** Folder or name of a model; or `config`, a file or a preset. No weights are read. */
  readonly model?: string;
  readonly config?: string;
  /** Default: the first of lm, images, classifier that the model can do. */
  readonly task?: FineTuneTask;
  /** Expected records a step. Default 1024. */
  readonly batchSize?: number;
  /** Tokens of a record; images have their own number of rows. Default 128, at most what the model reads. */
  readonly length?: number;
  /** Rank of the low-rank additions of the comparison. Default 8. */
  readonly lora?: number;
  /** MiB for the rows of one physical batch. Default 256. */
  readonly memory?: number;
}

/** What one way to train costs, in bytes. */
export interface MemoryCosts {
  readonly trained: number;
  readonly frozen: number;
  /** All parameters, 4 bytes each. */
  readonly weights: number;
  /** The sum of clipped gradients, in float64: 8 bytes a trained parameter, whatever the batch. */
  readonly gradients: number;
  /** Adam's two moments: 8 bytes a trained parameter. */
  readonly optimizer: number;
  /** What one physical batch keeps between forward and update. */
  readonly activations: number;
  readonly total: number;
}

export interface MemoryPlan {
  readonly modelType: string;
  readonly task: FineTuneTask;
  /** Tokens or patches of a record. */
  readonly rowsPerRecord: number;
  /** What a record keeps between forward and update: logits and what layers keep. */
  readonly bytesPerRecord: number;
  /** Records of a physical batch in the memory given; at least one. */
  readonly physicalBatch: number;
  /** Physical batches of an expected logical one. */
  readonly physicalBatches: number;
  /** All parameters trained. */
  readonly full: MemoryCosts;
  /** Low-rank additions to the attention layers alone. */
  readonly lora: MemoryCosts & { readonly rank: number };
  /** What storing one gradient for every record of a physical batch would add: not needed here. */
  readonly perSampleGradients: number;
}

/** Additions of a higher rank are larger than any layer. */
const MOST_RANK = 65_536;

/**
 * Estimates memory from a configuration. Parameters, gradients and moments are exact; activations are what the model itself states for
 * cutting physical batches, an estimate from above.
 *
 * @throws ERR_MODEL_NOT_FOUND, ERR_MODEL_CONFIG, ERR_INVALID_ARGUMENT
 * @example const { full, lora } = await planMemory({ model: 'gpt2', length: 128 })
 */
export async function planMemory(options: MemoryPlanOptions): Promise<MemoryPlan> {
  check.onlyKnown('plan', options, ['model', 'config', 'task', 'batchSize', 'length', 'lora', 'memory']);
  const { batchSize = DEFAULTS.batchSize, lora: rank = 8, memory = DEFAULTS.memory } = options;
  check.integer('plan', { batchSize }, 1);
  check.integer('plan', { lora: rank }, 1, MOST_RANK);
  check.positive('plan', { memory });
  const { config, task } = await blueprintOf(options);
  const model = build(config, task);
  try {
    const rowsPerRecord = rowsOf(model, options.length);
    const { bytesPerRow } = (model as PretrainedModel & { packing(): { bytesPerRow: number } }).packing();
    // A row of an image model is a whole image.
    const bytesPerRecord = task === 'images' ? bytesPerRow : bytesPerRow * rowsPerRecord;
    const physicalBatch = Math.max(1, Math.min(batchSize, Math.floor((memory * 2 ** 20) / bytesPerRecord)));
    const activations = physicalBatch * bytesPerRecord;
    const full = costs(model, activations);
    return {
      ...{ modelType: config.raw.model_type as string, task, rowsPerRecord, bytesPerRecord, physicalBatch, full },
      physicalBatches: Math.ceil(batchSize / physicalBatch),
      lora: lowRank(model, rank, activations),
      perSampleGradients: 4 * full.trained * physicalBatch,
    };
  } finally {
    model.dispose();
  }
}

const MODEL_TASKS = {
  lm: 'causal-lm',
  images: 'image-classification',
  classifier: 'sequence-classification',
  table2text: 'causal-lm',
} as const satisfies Record<FineTuneTask, TaskName>;

async function blueprintOf({
  model,
  config,
  task,
}: MemoryPlanOptions): Promise<{ config: ConfigReader; task: FineTuneTask }> {
  if ((model === undefined) === (config === undefined))
    raise('ERR_INVALID_ARGUMENT', 'plan: name a model with --model, or a configuration with --config.');
  const source = await sourceOf({ model, config });
  const file = source.kind === 'pretrained' ? join(source.folder, 'config.json') : source.name;
  const raw = source.kind === 'pretrained' ? await readJson(file) : source.config;
  const reader = new ConfigReader(raw, file);
  const able = Object.keys(familyOf(reader).tasks);
  const chosen = task ?? (['lm', 'images', 'classifier'] as const).find((name) => able.includes(MODEL_TASKS[name]));
  if (chosen === undefined || !able.includes(MODEL_TASKS[chosen]))
    return raise('ERR_INVALID_ARGUMENT', `plan: ${String(raw.model_type)} models are for ${able.join(', ')}.`);
  return { config: reader, task: chosen };
}

function familyOf(config: ConfigReader): (typeof FAMILIES)[number] {
  const known = FAMILIES.map(({ modelType }) => modelType);
  const type = config.raw.model_type;
  const family = FAMILIES.find(({ modelType }) => modelType === type);
  return family ?? config.refuse(`model_type ${JSON.stringify(type)} is not known; known are ${known.join(', ')}`);
}

function build(config: ConfigReader, task: FineTuneTask): PretrainedModel {
  return familyOf(config).tasks[MODEL_TASKS[task]]!.build(config, { init: new Untouched(), dtype: 'float32' });
}

/** Address space that nobody writes to takes no memory: a plan for a large model fits on a small machine. */
class Untouched extends Initializer {
  override normal(shape: readonly number[], _std: number, dtype: ParameterType = 'float32'): Tensor {
    return empty(shape, { dtype });
  }
}

function rowsOf({ backbone }: PretrainedModel, wanted?: number): number {
  const { rowsPerImage, maxLength } = backbone as unknown as { rowsPerImage?: number; maxLength?: number };
  if (rowsPerImage !== undefined) {
    if (wanted !== undefined)
      raise('ERR_INVALID_ARGUMENT', `plan: an image has ${rowsPerImage} rows; leave length out.`);
    return rowsPerImage;
  }
  const most = maxLength ?? Infinity;
  const length = wanted ?? Math.min(128, most);
  check.integer('plan', { length }, 1, Number.isFinite(most) ? most : undefined);
  return length;
}

function costs(model: PretrainedModel, activations: number): MemoryCosts {
  const count = (tensors: readonly Tensor[]): number => tensors.reduce((sum, { numel }) => sum + numel, 0);
  const trained = count(model.trainableParameters());
  const frozen = count(model.parameters()) - trained;
  const [weights, gradients, optimizer] = [4 * (trained + frozen), 8 * trained, 8 * trained];
  const total = weights + gradients + optimizer + activations;
  return { trained, frozen, weights, gradients, optimizer, activations, total };
}

function lowRank(model: PretrainedModel, rank: number, activations: number): MemoryPlan['lora'] {
  const trains: Trains = { lora: rank };
  choose(model, trains, false, 0);
  return { ...costs(model, activations), rank };
}
