// Low-rank additions in a folder of their own, as Python's peft keeps them: the model itself stays where it is.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { raise } from '../../errors';
import { replaceFile } from '../../files';
import { Conv1D, lora, LoRALinear, type Parameter } from '../../nn';
import { noGrad, type Tensor } from '../../tensor';
import { loadWeights, saveWeights } from '../weights';
import { ADAPTER_FILES, type AdapterShape, readAdapterConfig, writeAdapterConfig } from './adapter-config';
import { ConfigReader } from './config';
import { namesOf } from './family';
import { readJson } from './files';
import type { PretrainedModel } from './model';
import { type ModelCard, writeCard } from './model-card';
import { theirName } from './names';
import { loadPrefix, prefixOf, savePrefix } from './prefix-adapter';

export interface SaveAdapterOptions {
  /** Name or folder of the model that the additions belong to, for readers and for peft. */
  readonly base?: string;
  /** Writes README.md. */
  readonly card?: ModelCard;
}

const PREFIX = 'base_model.model.';

/** See {@link PretrainedModel.saveAdapter}. */
export async function saveAdapter(
  model: PretrainedModel,
  folder: string,
  { base, card }: SaveAdapterOptions,
): Promise<void> {
  const added = [...model.namedModules()].filter(
    (entry): entry is [string, LoRALinear] => entry[1] instanceof LoRALinear,
  );
  const prefix = prefixOf(model);
  if (prefix !== null && added.length > 0) {
    raise(
      'ERR_INVALID_ARGUMENT',
      'saveAdapter: the model has low-rank additions and a prefix, and a folder holds one of them. Save the whole model: savePretrained.',
    );
  }
  if (prefix !== null) return savePrefix(model, prefix, folder, { ...(base && { base }), ...(card && { card }) });
  const names = layerNames(model);
  if (added.length === 0)
    raise(
      'ERR_INVALID_ARGUMENT',
      'saveAdapter: the model has no low-rank additions and no prefix. Make them with nn.lora, or models.prefixTuning.',
    );
  const tensors: [string, Tensor][] = [];
  const layers = new Map<string, AdapterShape>();
  for (const [path, layer] of added) {
    const name = names.get(path)!;
    const rank = layer.loraA.shape[0] as number;
    layers.set(name, { rank, alpha: layer.scale * rank });
    tensors.push([`${PREFIX}${name}.lora_A.weight`, layer.loraA], [`${PREFIX}${name}.lora_B.weight`, layer.loraB]);
  }
  const whole = wholeLayers(model, new Set(added.map(([path]) => path)));
  for (const [name, parameter] of [...whole.values()].flat()) tensors.push([PREFIX + name, parameter]);
  const config = writeAdapterConfig({
    base: base ?? null,
    task: model.origin.task,
    layers,
    transposed: added.every(([, { base: own }]) => own instanceof Conv1D),
    whole: [...whole.keys()],
  });
  await mkdir(folder, { recursive: true });
  await replaceFile(join(folder, ADAPTER_FILES.config), `${JSON.stringify(config, null, 2)}\n`);
  if (card !== undefined)
    await writeCard(folder, model.origin, { ...card, ...(base === undefined ? {} : { base }) }, 'peft');
  await saveWeights(join(folder, ADAPTER_FILES.weights), tensors, { format: 'pt' });
}

/** See {@link PretrainedModel.loadAdapter}. */
export async function loadAdapter(model: PretrainedModel, folder: string): Promise<void> {
  const file = join(folder, ADAPTER_FILES.config);
  const raw = await readJson(file);
  if (new ConfigReader(raw, file).oneOf('peft_type', ['LORA', 'PREFIX_TUNING']) === 'PREFIX_TUNING')
    return loadPrefix(model, folder, raw);
  const shapeOf = readAdapterConfig(raw, file);
  const paths = new Map([...layerNames(model)].map(([path, name]) => [name, path]));
  const parameters = new Map(named(model).map(([name, , parameter]) => [name, parameter]));
  const { tensors } = await loadWeights(join(folder, ADAPTER_FILES.weights));
  try {
    const problems: string[] = [];
    const shapes = new Map<string, AdapterShape>();
    const whole: [Parameter, Tensor][] = [];
    for (const [key, tensor] of tensors) {
      const name = key.startsWith(PREFIX) ? key.slice(PREFIX.length) : '';
      const layer = /^(.*)\.lora_([AB])\.weight$/.exec(name);
      if (layer === null) {
        const parameter = parameters.get(name);
        if (parameter?.shape.join() === tensor.shape.join()) whole.push([parameter, tensor]);
        else problems.push(`${key} [${tensor.shape.join(', ')}]`);
      } else {
        const [, own, letter] = layer as unknown as [string, string, 'A' | 'B'];
        const path = paths.get(own);
        const other = tensors.get(key.replace(/[AB]\.weight$/, `${letter === 'A' ? 'B' : 'A'}.weight`));
        if (path === undefined || other === undefined) problems.push(key);
        else shapes.set(path, shapeOf(own, tensor.shape[letter === 'A' ? 0 : 1] as number));
      }
    }
    if (shapes.size === 0) problems.push('no layer at all');
    if (problems.length > 0)
      raise('ERR_MODEL_WEIGHTS', `${folder}: the adapter is not for this model: ${problems.sort().join(', ')}.`);
    put(model, shapes, tensors);
    noGrad(() => whole.forEach(([parameter, tensor]) => parameter.copy_(tensor)));
    for (const [parameter] of whole) parameter.requiresGrad_();
  } finally {
    for (const tensor of tensors.values()) tensor.dispose();
  }
}

// Layers of one shape at a time: that is what `lora` makes.
function put(
  model: PretrainedModel,
  shapes: ReadonlyMap<string, AdapterShape>,
  tensors: ReadonlyMap<string, Tensor>,
): void {
  const names = layerNames(model);
  const wrong: string[] = [];
  for (const [path, { rank }] of shapes) {
    const [, layer] = [...model.namedModules()].find(([own]) => own === path)!;
    const [rows, columns] = (layer as unknown as { weight: Tensor }).weight.shape as [number, number];
    const [outputs, inputs] = layer instanceof Conv1D ? [columns, rows] : [rows, columns];
    const [a, b] = ['A', 'B'].map((letter) => tensors.get(`${PREFIX}${names.get(path)}.lora_${letter}.weight`)!.shape);
    if (a!.join() !== `${rank},${inputs}` || b!.join() !== `${outputs},${rank}`) wrong.push(names.get(path)!);
  }
  if (wrong.length > 0)
    raise('ERR_MODEL_WEIGHTS', `the adapter is not for this model: ${wrong.join(', ')} have other widths.`);
  const groups = new Map<string, [AdapterShape, string[]]>();
  for (const [path, shape] of shapes) {
    const key = `${shape.rank} ${shape.alpha}`;
    const [, members] = groups.get(key) ?? groups.set(key, [shape, []]).get(key)!;
    members.push(path);
  }
  const made: Parameter[] = [];
  for (const [shape, targets] of groups.values()) {
    for (const [path, { loraA, loraB }] of lora(model, { ...shape, targets: targets.map(exactly) })) {
      noGrad(() => {
        loraA.copy_(tensors.get(`${PREFIX}${names.get(path)}.lora_A.weight`)!);
        loraB.copy_(tensors.get(`${PREFIX}${names.get(path)}.lora_B.weight`)!);
      });
      made.push(loraA, loraB);
    }
  }
  // Each call freezes what those before it have made.
  for (const parameter of made) parameter.requiresGrad_();
}

const exactly = (path: string): RegExp => new RegExp(`^${path.replace(/\./g, '\\.')}$`);

/** Our path and Python's name of every layer that has a weight. */
function layerNames(model: PretrainedModel): Map<string, string> {
  if ('rowsPerImage' in model.backbone) {
    return raise(
      'ERR_INVALID_ARGUMENT',
      'adapters: what models of images call their layers differs between versions of transformers. Save the merged model: savePretrained.',
    );
  }
  const found = new Map<string, string>();
  for (const [name, path] of named(model)) {
    if (path.endsWith('.weight')) found.set(path.slice(0, -'.weight'.length), name.slice(0, -'.weight'.length));
  }
  return found;
}

function named(model: PretrainedModel): [name: string, path: string, parameter: Parameter][] {
  const rules = namesOf(model.origin);
  return [...model.namedParameters()].flatMap(([path, parameter]) => {
    const name = theirName(rules, path);
    return name === null ? [] : [[name, path, parameter] as [string, string, Parameter]];
  });
}

/**
 * The layers of a head that are trained as they are, with all of their parameters, by Python's name. A classifier's always belongs
 * to its adapter: peft looks for it there.
 */
function wholeLayers(model: PretrainedModel, adapted: ReadonlySet<string>): Map<string, [string, Parameter][]> {
  const { family, task } = model.origin;
  const poolers = family.tasks[task]!.poolers ?? [];
  const found = new Map<string, [string, Parameter][]>();
  for (const [name, path, parameter] of named(model)) {
    const layer = path.slice(0, path.lastIndexOf('.'));
    const head = !path.startsWith('backbone.') || poolers.includes(layer);
    if (adapted.has(layer) || (head && task === 'sequence-classification')) {
      if (adapted.has(layer)) continue;
    } else if (!parameter.requiresGrad) continue;
    if (!head) {
      raise(
        'ERR_MODEL_WEIGHTS',
        `saveAdapter: ${path} is trained and is no low-rank addition. Freeze it, or save the whole model: savePretrained.`,
      );
    }
    const module = name.slice(0, name.lastIndexOf('.'));
    const members = found.get(module) ?? found.set(module, []).get(module)!;
    members.push([name, parameter]);
  }
  return found;
}
