// Writes a model folder that Python's transformers loads.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { replaceFile } from '../../files';
import { LoRALinear } from '../../nn';
import type { Tensor } from '../../tensor';
import { saveWeights } from '../weights';
import { namesOf } from './family';
import { underTheirNames } from './load';
import type { PretrainedModel, SaveOptions } from './model';
import { writeCard } from './model-card';
import { theirName } from './names';
import { prefixOf, savePrefixBeside } from './prefix-adapter';

/** Fields that Python reads as float alone: there 1 is an error where 1.0 is none, and JavaScript writes both alike. */
const FLOATS =
  /^( {2}"(?:(?:en|de)coder_layerdrop|init_std|initializer_(?:factor|range)|\w+_loss_weight|layer_norm_eps(?:ilon)?|layer_scale_init_value)": -?\d+)(,?)$/gm;

/** See {@link PretrainedModel.savePretrained}. */
export async function savePretrained(model: PretrainedModel, folder: string, { card }: SaveOptions): Promise<void> {
  const { origin } = model;
  const { family, task, config, generation } = origin;
  const rules = namesOf(origin);
  const merged = new Map<string, Tensor>();
  const added = new Set<string>();
  for (const [path, module] of model.namedModules()) {
    if (!(module instanceof LoRALinear)) continue;
    merged.set(theirName(rules, `${path}.weight`) ?? path, module.merge());
    for (const own of ['loraA', 'loraB']) added.add(`${path}.${own}`);
  }
  for (const [own] of prefixOf(model)?.namedParameters() ?? []) added.add(`backbone.prefix.${own}`);
  try {
    const named = underTheirNames(model, origin, added);
    const tensors = [...named].map(([name, [, tensor]]) => [name, merged.get(name) ?? tensor] as const);
    const dtype = tensors[0]?.[1].dtype ?? 'float32';
    const { architecture } = family.tasks[task]!;
    await mkdir(folder, { recursive: true });
    // Older versions of transformers know the type of the weights by one name, newer ones by another.
    const written = { ...config, architectures: [architecture], torch_dtype: dtype, dtype };
    await replaceFile(join(folder, 'config.json'), `${JSON.stringify(written, null, 2).replace(FLOATS, '$1.0$2')}\n`);
    if (generation !== null)
      await replaceFile(join(folder, 'generation_config.json'), `${JSON.stringify(generation, null, 2)}\n`);
    if (card !== undefined) await writeCard(folder, origin, card, 'transformers');
    await savePrefixBeside(model, folder);
    await saveWeights(join(folder, 'model.safetensors'), tensors, { format: 'pt' });
  } finally {
    for (const tensor of merged.values()) tensor.dispose();
  }
}
