// Training a few parameters of a pretrained model: low-rank additions to chosen layers, or biases alone.

import * as check from '../check';
import { raise } from '../errors';
import { Conv1D } from './conv1d-linear';
import { Linear } from './linear';
import { LoRALinear, type LoRAOptions, widths } from './lora-linear';
import { isContainer, type Module } from './module';

export interface LoRAModelOptions extends LoRAOptions {
  /**
   * Layers by path («blocks.0.attention.qkv»), by the end of the path («qkv»), or by a pattern of the whole path. A layer in several
   * places has the path of the first, and is replaced in all.
   */
  readonly targets: readonly (string | RegExp)[];
  /** Layers of equal widths train one A and one B together. Default false. */
  readonly tied?: boolean;
}

/**
 * Puts a {@link LoRALinear} in the place of every chosen {@link Linear} or {@link Conv1D} of `model`, and freezes everything else.
 * Load pretrained weights before or after: their paths stay.
 *
 * @returns The new layers by path. `model.trainableParameters()` are theirs: give them to the optimizer.
 * @throws ERR_INVALID_ARGUMENT, and nothing has changed, when a target chooses no layer, or a layer is out of reach because it is
 *   held in a `#private` field or a frozen list.
 * @example lora(model, { rank: 8, alpha: 16, targets: ['qkv', 'out'] })
 */
export function lora(model: Module, choices: LoRAModelOptions): Map<string, LoRALinear> {
  check.able('lora', { model }, 'namedModules', 'a module');
  check.onlyKnown('lora', choices, ['rank', 'alpha', 'init', 'targets', 'tied']);
  const { targets, tied = false, ...options } = choices;
  check.list('lora', { targets });
  const layers = [...model.namedModules()].filter((entry): entry is [string, Linear | Conv1D] => isLinear(entry[1]));
  const chosen = new Map(layers.filter(([path]) => targets.some((target) => matches(target, path))));
  const idle = targets.find((target) => !layers.some(([path]) => matches(target, path)));
  if (idle !== undefined || chosen.size === 0) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `lora: ${idle === undefined ? 'there are no targets' : `target ${String(idle)} chooses no layer`}; linear layers are ` +
        `${layers.map(([path]) => path).join(', ') || 'not in this model'}.`,
    );
  }
  const places = new Map([...chosen].map(([path, layer]) => [layer, { path, slots: slotsOf(model, layer) }]));
  for (const { path, slots } of places.values())
    if (slots.length === 0) raise('ERR_INVALID_ARGUMENT', `lora: ${path} is held where it cannot be replaced.`);

  const pairs = new Map<string, LoRALinear>();
  const replaced = new Map<string, LoRALinear>();
  for (const [layer, { path, slots }] of places) {
    const widthsOf = `${widths(layer).join()} ${layer.weight.dtype}`;
    const share = tied ? pairs.get(widthsOf) : undefined;
    const added = new LoRALinear(layer, { ...options, ...(share === undefined ? {} : { share }) });
    pairs.set(widthsOf, added);
    for (const put of slots) put(added);
    replaced.set(path, added.train(layer.training));
  }
  const own = new Set([...replaced.values()].flatMap(({ loraA, loraB }) => [loraA, loraB]));
  for (const parameter of model.parameters()) parameter.requiresGrad_(own.has(parameter));
  return replaced;
}

/**
 * Freezes everything but biases (BitFit; privately: Bu et al. 2022, arXiv 2210.00036): parameters called bias, or bias_…
 *
 * @returns The paths that are trained.
 * @throws ERR_INVALID_ARGUMENT, and nothing has changed, for a model without biases
 */
export function biasesOnly(model: Module): string[] {
  check.able('biasesOnly', { model }, 'namedParameters', 'a module');
  const parameters = [...model.namedParameters()];
  const biases = parameters.filter(([path]) => /(^|\.)bias(_[^.]*)?$/.test(path)).map(([path]) => path);
  if (biases.length === 0) raise('ERR_INVALID_ARGUMENT', 'biasesOnly: the model has no biases.');
  const trained = new Set(biases);
  for (const [path, parameter] of parameters) parameter.requiresGrad_(trained.has(path));
  return biases;
}

function isLinear(module: Module): boolean {
  return module instanceof Linear || module instanceof Conv1D;
}

function matches(target: string | RegExp, path: string): boolean {
  if (typeof target === 'string') return path === target || path.endsWith(`.${target}`);
  return path.search(target) >= 0; // unlike test(), it forgets nothing between calls
}

/** Ways to put something else wherever `model` holds `layer`: properties, and lists, maps and plain objects in properties. */
function slotsOf(model: Module, layer: Module): ((replacement: Module) => void)[] {
  const slots: ((replacement: Module) => void)[] = [];
  const visit = (holder: object): void => {
    if (holder instanceof Map) {
      const map = holder as Map<unknown, unknown>;
      for (const [key, value] of map) {
        if (value === layer) slots.push((replacement) => map.set(key, replacement));
        else if (isContainer(value)) visit(value);
      }
      return;
    }
    for (const [key, { value, writable }] of Object.entries(Object.getOwnPropertyDescriptors(holder))) {
      if (value === layer && writable === true) slots.push((replacement) => Reflect.set(holder, key, replacement));
      else if (isContainer(value)) visit(value);
    }
  };
  // The base of a layer that was adapted before must stay what it is.
  for (const module of model.modules()) if (!(module instanceof LoRALinear)) visit(module);
  return slots;
}
