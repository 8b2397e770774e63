// Puts a prefix before the texts of a language model, and freezes everything else.

import * as check from '../../check';
import { raise } from '../../errors';
import { Initializer, type ParameterType } from '../../nn';
import { Attention } from './attention';
import type { PretrainedModel } from './model';
import { Prefix } from './prefix';
import type { TextBackbone } from './text-backbone';

export interface PrefixOptions {
  /** Rows of keys and values before a text; a text may have that many tokens less. */
  readonly length: number;
  /**
   * Width of a network with two layers and tanh that makes keys and values of a smaller table while they are trained; what is saved
   * are the keys and values. Default: they are trained themselves.
   */
  readonly projection?: number;
  /** Default: an initializer with seed 0. */
  readonly init?: Initializer;
}

/** Families whose models in Python take the keys and values of a past, which is how peft puts a prefix there. */
const FAMILIES: readonly string[] = ['gpt2', 'opt', 'llama'];

/**
 * Prefix tuning: trained keys and values stand before the tokens of every text in every layer. Privately, their per-sample gradients
 * are exact. Positions of tokens begin behind the prefix, as in Python's peft.
 *
 * @returns The prefix; `model.trainableParameters()` are its own. `model.saveAdapter` keeps it, `savePretrained` puts it into «prefix».
 * @throws ERR_INVALID_ARGUMENT, and nothing has changed, for models that write no text or are of another family than GPT-2, OPT and
 *   Llama, for a second prefix, and for one that leaves no position for tokens.
 * @example prefixTuning(model, { length: 10, projection: 512 })
 */
export function prefixTuning(model: PretrainedModel, options: PrefixOptions): Prefix {
  check.onlyKnown('prefixTuning', options, ['length', 'projection', 'init']);
  const { length, projection, init = new Initializer(0) } = options;
  check.integer('prefixTuning', { length }, 1);
  if (projection !== undefined) check.integer('prefixTuning', { projection }, 1);
  const { family, task } = model.origin;
  if (task !== 'causal-lm' || !FAMILIES.includes(family.modelType)) {
    return raise(
      'ERR_INVALID_ARGUMENT',
      `prefixTuning: a prefix is for the task causal-lm of ${FAMILIES.join(', ')}, not for ${task} of ${family.modelType}.`,
    );
  }
  const backbone = model.backbone as unknown as TextBackbone;
  if (backbone.prefix !== null) raise('ERR_INVALID_ARGUMENT', 'prefixTuning: the model has a prefix already.');
  if (length >= backbone.maxLength) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `prefixTuning: length must leave room for a token among ${backbone.maxLength} positions, got ${length}.`,
    );
  }
  const layers = attentionLayers(model);
  const dtype = backbone.words.weight.dtype as ParameterType;
  const prefix = new Prefix({ length, layers, projection: projection ?? null, init, dtype });
  prefix.to(model.device);
  backbone.putBefore(prefix);
  const own = new Set(prefix.parameters());
  for (const parameter of model.parameters()) parameter.requiresGrad_(own.has(parameter));
  return prefix;
}

/** In the order in which they run. */
export function attentionLayers(model: PretrainedModel): Attention[] {
  return model.backbone.modules().filter((module) => module instanceof Attention);
}
