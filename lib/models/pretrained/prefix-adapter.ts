// A prefix in a folder of its own, as Python's peft keeps it: its keys and values, whatever network made them.

import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { raise } from '../../errors';
import { replaceFile } from '../../files';
import { noGrad } from '../../tensor';
import { loadWeights, saveWeights } from '../weights';
import type { SaveAdapterOptions } from './adapter';
import { ADAPTER_FILES } from './adapter-config';
import { ConfigReader, type Json } from './config';
import type { PretrainedModel } from './model';
import { writeCard } from './model-card';
import type { Prefix } from './prefix';
import { attentionLayers, prefixTuning } from './prefix-tuning';

const TENSOR = 'prompt_embeddings';

/** Fields that are null, or as here, in a folder that does what this library does. */
const USUAL: Json = {
  peft_type: 'PREFIX_TUNING',
  auto_mapping: null,
  inference_mode: true,
  init_weights: null,
  modules_to_save: null,
  num_transformer_submodules: 1,
  revision: null,
};

/** Fields that say where a prefix is from or how it was begun, and those that are compared with its tensor. */
const SILENT =
  /^(base_model_name_or_path|task_type|peft_version|auto_mapping|revision|inference_mode|init_weights|encoder_hidden_size|prefix_projection|num_(virtual_tokens|layers|attention_heads)|token_dim)$/;

/** Where a model folder keeps the prefix that belongs to its weights. */
export const PREFIX_FOLDER = 'prefix';

/** The prefix of a model; null where it has none. */
export function prefixOf(model: PretrainedModel): Prefix | null {
  return (model.backbone as { readonly prefix?: Prefix | null }).prefix ?? null;
}

/** See {@link PretrainedModel.saveAdapter}. */
export async function savePrefix(
  model: PretrainedModel,
  prefix: Prefix,
  folder: string,
  { base, card }: SaveAdapterOptions,
): Promise<void> {
  const config = {
    ...USUAL,
    base_model_name_or_path: base ?? null,
    task_type: 'CAUSAL_LM',
    num_virtual_tokens: prefix.length,
    num_layers: prefix.layers,
    num_attention_heads: prefix.keyHeads,
    token_dim: prefix.width,
    encoder_hidden_size: prefix.projection ?? prefix.width,
    prefix_projection: prefix.projection !== null,
  };
  await mkdir(folder, { recursive: true });
  await replaceFile(join(folder, ADAPTER_FILES.config), `${JSON.stringify(config, null, 2)}\n`);
  if (card !== undefined)
    await writeCard(folder, model.origin, { ...card, ...(base === undefined ? {} : { base }) }, 'peft');
  using rows = noGrad(() => prefix.flat());
  await saveWeights(join(folder, ADAPTER_FILES.weights), [[TENSOR, rows]], { format: 'pt' });
}

/**
 * Reads a prefix; the network that made it, if one did, is not in the file, so that its keys and values are what is trained on.
 *
 * @throws ERR_MODEL_CONFIG, ERR_MODEL_WEIGHTS, and what {@link prefixTuning} throws; then nothing has changed
 */
export async function loadPrefix(model: PretrainedModel, folder: string, raw: Json): Promise<void> {
  const config = new ConfigReader(raw, join(folder, ADAPTER_FILES.config));
  for (const [field, value] of Object.entries(raw)) {
    if ((value ?? null) !== null && !SILENT.test(field)) config.only(field, (USUAL[field] ?? null) as null);
  }
  const length = config.integer('num_virtual_tokens');
  const { tensors } = await loadWeights(join(folder, ADAPTER_FILES.weights));
  try {
    const rows = tensors.get(TENSOR);
    const layers = attentionLayers(model);
    const columns = 2 * layers.reduce((sum, { keyHeads, headDim }) => sum + keyHeads * headDim, 0);
    if (tensors.size !== 1 || rows?.shape.join() !== [length, columns].join()) {
      const found = [...tensors].map(([name, { shape }]) => `${name} [${shape.join(', ')}]`).join(', ') || 'nothing';
      return raise(
        'ERR_MODEL_WEIGHTS',
        `${folder}: the prefix is not for this model: expected ${TENSOR} [${length}, ${columns}], got ${found}.`,
      );
    }
    const prefix = prefixTuning(model, { length });
    noGrad(() => prefix.table.weight.copy_(rows));
  } finally {
    for (const tensor of tensors.values()) tensor.dispose();
  }
}

/** Keeps the prefix of a model beside its weights; where it has none, that of the weights that were there before goes. */
export async function savePrefixBeside(model: PretrainedModel, folder: string): Promise<void> {
  const own = join(folder, PREFIX_FOLDER);
  const prefix = prefixOf(model);
  if (prefix !== null) return savePrefix(model, prefix, own, {});
  for (const file of Object.values(ADAPTER_FILES)) await rm(join(own, file), { force: true });
}

/** Reads the prefix that stands in a model folder beside the weights, if there is one. @throws ERR_MODEL_WEIGHTS for other tasks than its own */
export async function loadPrefixBeside(model: PretrainedModel, folder: string): Promise<void> {
  const own = join(folder, PREFIX_FOLDER);
  if (!existsSync(join(own, ADAPTER_FILES.config))) return;
  if (model.origin.task !== 'causal-lm') {
    raise(
      'ERR_MODEL_WEIGHTS',
      `${own}: the weights belong to a prefix, which a model for ${model.origin.task} does not read. Take the model that the prefix was trained for.`,
    );
  }
  await model.loadAdapter(own);
}
