// Continues prompts with a language model, or writes what a model makes of them.

import * as check from '../../check';
import type { TokenExample } from '../../data';
import { Prng } from '../../data/synthetic/prng';
import type { CausalLM } from '../pretrained/causal-lm';
import { ConditionalGeneration } from '../pretrained/conditional-generation';
import { beamSearch } from './beam-search';
import { Decoder, type GrowingTexts } from './decoder';
import { oneByOne } from './one-by-one';
import { type GenerateOptions, type Generation, resolveGeneration } from './options';
import { TargetDecoder } from './target-decoder';

/**
 * Continues every prompt, or with an encoder-decoder model writes the text that belongs to it: greedily, by sampling, or by beam
 * search. Defaults come from the generation_config.json of the model, and
 * from what its config.json says of the end of a text. Greedy and beam search give what Python's transformers gives, up to ties.
 *
 * @param prompts  Token ids; as {@link TokenExample} with an attention mask, padding on whatever side is left out.
 * @returns The new tokens of each prompt, with the end token where there is one.
 * @throws ERR_INVALID_ARGUMENT for empty prompts, unknown tokens, options out of range, and more tokens than the model has positions.
 * @example generate(model, [[15496, 995]], { maxNewTokens: 40, doSample: true, topP: 0.9, seed: 7 })
 */
export function generate(
  model: CausalLM | ConditionalGeneration,
  prompts: readonly (ArrayLike<number> | TokenExample)[],
  options: GenerateOptions = {},
): number[][] {
  check.able('generate', { model }, 'namedParameters', 'a model');
  check.list('generate', { prompts });
  const generation = resolveGeneration(model, options);
  if (prompts.length === 0) return [];
  for (const prompt of prompts) check.object('generate', { prompt });
  const examples = prompts.map((prompt) => ('inputIds' in prompt ? prompt : { inputIds: prompt }));
  const texts = examples.map(({ inputIds, attentionMask }) =>
    Array.from(inputIds).filter((_, column) => (attentionMask?.[column] ?? 1) !== 0),
  );
  const { training } = model;
  model.eval();
  try {
    if (model instanceof ConditionalGeneration) {
      using writer = new TargetDecoder(model, examples, generation);
      const begun = texts.map(() => [generation.start]);
      return grow(writer, begun, generation);
    }
    using decoder = new Decoder(model, examples, generation.maxNewTokens);
    return grow(decoder, texts, generation);
  } finally {
    model.train(training);
  }
}

function grow(texts: GrowingTexts, begun: readonly (readonly number[])[], generation: Generation): number[][] {
  if (generation.numBeams > 1) return beamSearch(texts, begun, generation);
  const streams = begun.map((_, text) => new Prng(generation.seed, text));
  return oneByOne(texts, begun, generation, (text) => streams[text]!.uniform());
}
