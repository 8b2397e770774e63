// Where the model of a job comes from: a pretrained folder, or a configuration for a new one; and which of its parameters are trained.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { raise } from '../../errors';
import {
  fromConfig,
  fromPretrained,
  modelFolder,
  prefixTuning,
  type PretrainedModel,
  type TaskModels,
} from '../../models';
import type { Json } from '../../models/pretrained/config';
import { readJson } from '../../models/pretrained/files';
import { biasesOnly, Initializer, lora, type Parameter } from '../../nn';
import type { Trains } from './options';
import { isPreset, PRESETS } from './presets';

export type Source =
  | { readonly kind: 'pretrained'; readonly folder: string }
  | { readonly kind: 'scratch'; readonly config: Json; readonly name: string };

/** @throws ERR_MODEL_NOT_FOUND, ERR_MODEL_CONFIG; ERR_INVALID_ARGUMENT for a configuration that is neither a file nor a preset. */
export async function sourceOf({
  model,
  config,
}: {
  readonly model: string | undefined;
  readonly config: string | undefined;
}): Promise<Source> {
  if (model !== undefined) return { kind: 'pretrained', folder: modelFolder(model) };
  const name = config as string;
  if (isPreset(name)) return { kind: 'scratch', config: PRESETS[name], name };
  const file = existsSync(join(name, 'config.json')) ? join(name, 'config.json') : name;
  if (!existsSync(file))
    raise(
      'ERR_INVALID_ARGUMENT',
      `config: ${name} is no file, and no preset; presets are ${Object.keys(PRESETS).join(', ')}.`,
    );
  return { kind: 'scratch', config: await readJson(file), name: file };
}

/** What the data decide about a model. */
export interface Fitting {
  /** Names of the classes, for models with a head for them. */
  readonly labels?: readonly string[];
  /** Fields that a preset leaves open. A configuration from a file keeps what it says. */
  readonly open?: Json;
  readonly seed: number;
}

export type MakeModel<T extends keyof TaskModels> = () => Promise<TaskModels[T]>;

/** Makes the same model each time: pretrained weights, a new head where there are classes, initial weights by seed. */
export function maker<T extends keyof TaskModels>(
  source: Source,
  task: T,
  trains: Trains,
  { labels, open = {}, seed }: Fitting,
): MakeModel<T> {
  const names = labels === undefined ? {} : labelFields(labels);
  return async () => {
    let model: TaskModels[T];
    if (source.kind === 'scratch') {
      const given = isPreset(source.name) ? { ...source.config, ...open } : { ...open, ...source.config };
      model = fromConfig({ ...given, ...names }, { task, seed });
    } else {
      const head = labels === undefined ? {} : { newHead: true, labels: labels.length };
      model = await fromPretrained(source.folder, { task, seed, ...head });
      const { origin } = model;
      model.origin = { ...origin, config: { ...origin.config, ...names } };
    }
    try {
      choose(model, trains, labels !== undefined, seed);
    } catch (error) {
      model.dispose();
      throw error;
    }
    return model;
  };
}

function labelFields(labels: readonly string[]): Json {
  return {
    num_labels: labels.length,
    id2label: Object.fromEntries(labels.map((name, k) => [String(k), name])),
    label2id: Object.fromEntries(labels.map((name, k) => [name, k])),
  };
}

/** Queries, keys and values, fused or apart. */
const ATTENTION = /\.attention\.(qkv|query|key|value)$/;

/** Freezes what is not trained. A new head always is: without it the rest has nothing to say. */
export function choose(model: PretrainedModel, trains: Trains, newHead: boolean, seed: number): void {
  if (trains === 'all') return;
  const head = headOf(model);
  if (trains === 'head') {
    if (head.length === 0)
      raise(
        'ERR_INVALID_ARGUMENT',
        'headOnly: the head of this model is its word table. Train low-rank additions (lora) or biases instead.',
      );
    for (const parameter of model.parameters()) parameter.requiresGrad_(false);
  } else if (trains === 'biases') biasesOnly(model);
  else if ('lora' in trains) lora(model, { rank: trains.lora, targets: [ATTENTION], init: new Initializer(seed + 1) });
  else {
    const { prefix: length, projection } = trains;
    const network = projection === null ? {} : { projection };
    prefixTuning(model, { length, ...network, init: new Initializer(seed + 1) });
  }
  if (newHead || trains === 'head') for (const parameter of head) parameter.requiresGrad_(true);
}

/** Parameters that do not belong to the backbone. */
function headOf(model: PretrainedModel): Parameter[] {
  const backbone = new Set(model.backbone.parameters());
  return model.parameters().filter((parameter) => !backbone.has(parameter));
}
