// Gives a model another number of tokens: its word table, and whatever of its heads counts tokens.

import * as check from '../../check';
import { raise } from '../../errors';
import { type Embedding, Initializer, Parameter, type ParameterType, SoftmaxHead } from '../../nn';
import { keep, noGrad, type Tensor, tidy, torch, zeros } from '../../tensor';
import type { PretrainedModel } from './model';
import { TokenHead } from './token-head';

export interface ResizeOptions {
  /** Of the small differences between new rows. Default 0. */
  readonly seed?: number;
}

/** New rows differ by this share of the spread of the old ones: enough that no two are equal. */
const SPREAD = 1e-3;

/** Somewhere a tensor is held whose first dimension counts tokens. */
interface Slot {
  readonly holder: object;
  readonly field: string;
  readonly parameter: Parameter;
}

/** See {@link PretrainedModel.resizeTokenEmbeddings}. */
export function resizeTokenEmbeddings(model: PretrainedModel, count: number, { seed = 0 }: ResizeOptions): void {
  check.integer('resizeTokenEmbeddings', { count }, 1);
  const slots = slotsOf(model);
  const before = slots[0]!.parameter.shape[0] as number;
  for (const [name, token] of framingTokens(model)) {
    if (token >= count) {
      raise(
        'ERR_INVALID_ARGUMENT',
        `resizeTokenEmbeddings: ${name} is token ${token}, which a vocabulary of ${count} does not have.`,
      );
    }
  }
  if (model.parameters().some((parameter) => torch.ops.phantomgrad.book_owns(parameter))) {
    raise(
      'ERR_ENGINE_STATE',
      'resizeTokenEmbeddings: an engine is attached to this model. Detach it, resize, and make engine and optimizer anew.',
    );
  }
  if (count === before) return;
  const init = new Initializer(seed);
  for (const { holder, field, parameter } of slots) {
    const { requiresGrad } = parameter;
    const rows = tidy(() => noGrad(() => keep(resized(parameter, count, init))));
    Reflect.set(holder, field, new Parameter(rows, { requiresGrad }));
    rows.dispose();
    parameter.dispose();
  }
  model.resizeConstants(count);
  const { origin } = model;
  model.origin = { ...origin, config: { ...origin.config, vocab_size: count } };
}

function slotsOf(model: PretrainedModel): Slot[] {
  if (model.wordTable === null) {
    return raise(
      'ERR_INVALID_ARGUMENT',
      `resizeTokenEmbeddings: ${model.origin.family.modelType} models read no tokens.`,
    );
  }
  const { words } = model.backbone as unknown as { readonly words: Embedding };
  const slots: Slot[] = [{ holder: words, field: 'weight', parameter: words.weight }];
  for (const module of model.modules()) {
    if (module instanceof SoftmaxHead) slots.push({ holder: module, field: 'weight', parameter: module.weight });
    if ((module instanceof SoftmaxHead || module instanceof TokenHead) && module.bias !== null)
      slots.push({ holder: module, field: 'bias', parameter: module.bias });
  }
  return slots;
}

function* framingTokens(model: PretrainedModel): Generator<[string, number]> {
  const { words } = model.backbone as unknown as { readonly words: Embedding };
  yield ['the padding row of the word table', words.paddingId];
  const { frame } = model as { readonly frame?: { readonly start: number; readonly padding: number } };
  if (frame === undefined) return;
  yield ['the start of a text', frame.start];
  yield ['padding', frame.padding];
}

/** `[before, ...]` to `[count, ...]`. */
function resized(old: Tensor, count: number, init: Initializer): Tensor {
  const [before, ...rest] = old.shape as [number, ...number[]];
  if (count <= before) return old.narrow(0, 0, count).clone();
  const mean = old.mean([0], true);
  const spread = old.sub(mean).square().mean([0], true).sqrt();
  const noise = init.normal([count - before, ...rest], SPREAD, old.dtype as ParameterType);
  return torch.ops.aten.cat([old, mean.add(noise.mul(spread))], 0);
}

/** Constants of heads, `[1, before]` to `[1, count]`: nothing is added to the logits of new tokens. */
export function resizedConstant(old: Tensor, count: number): Tensor {
  return tidy(() => {
    const kept = old.narrow(1, 0, Math.min(count, old.shape[1] as number));
    const more = count - (kept.shape[1] as number);
    return keep(torch.ops.aten.cat([kept, zeros([1, more], { dtype: old.dtype })], 1));
  });
}
