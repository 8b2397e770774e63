// `train lm`: a causal language model on blocks of a text, measured by its perplexity on held-out blocks.

import * as check from '../../check';
import { readText, textBlocks, type TextTokenizer, type TokenBatch, type TokenDataset } from '../../data';
import { raise } from '../../errors';
import { type CausalLM, fromPretrained } from '../../models';
import type { Json } from '../../models/pretrained/config';
import { type Exam, type HeldOut, perplexityOf } from './exam';
import type { Material, Task } from './material';
import { type CommonOptions, DEFAULTS } from './options';
import { maker, sourceOf } from './source';
import { firstOf } from './subset';
import { BYTES, checkVocabulary, chooseTokenizer, LEARNED_TOKENIZER, tokenFields } from './tokenizers';
import { unigramPerplexity } from './unigram';

export interface LanguageModelOptions extends CommonOptions {
  /** Text to train on (UTF-8, also gzipped). */
  readonly data: string;
  /** Folder, or «bytes». Default: that of the pretrained model; bytes from scratch. */
  readonly tokenizer?: string;
  /** Tokens of a record. Default 128, at most what the model reads. */
  readonly block?: number;
  /** Share at the end of the text that is held out, where `test` names none. Default 0.1. */
  readonly heldOut?: number;
}

const NAME = 'train lm';

export const languageModel: Task<LanguageModelOptions, CausalLM> = {
  name: 'lm',
  defaults: {
    preset: 'tiny-gpt2',
    epochs: { pretrained: 10, scratch: 30 },
    learningRate: { pretrained: 5e-4, scratch: 3e-3 },
    groupScale: { pretrained: 1, scratch: 1 },
    average: { pretrained: 0, scratch: 0 },
  },
  keys: ['tokenizer', 'block', 'heldOut'],

  async prepare(options, common): Promise<Material<CausalLM>> {
    const { heldOut = 0.1, test, data } = options;
    check.between(NAME, { heldOut }, 0, 1);
    const source = await sourceOf(common);
    const { tokenizer, folder } = await chooseTokenizer(NAME, options.tokenizer, source, BYTES);
    const make = maker(source, 'causal-lm', common.trains, { open: tokenFields(tokenizer), seed: common.seed });
    const { vocabulary, maxLength } = await limits(make);
    checkVocabulary(NAME, tokenizer, vocabulary);
    const length = options.block ?? Math.min(128, maxLength);
    checkLength(length, maxLength);
    const text = await readText(data);
    const cut = test === undefined ? wholeCharacters(text, Math.floor(text.length * (1 - heldOut))) : text.length;
    const train = blocks(text.slice(0, cut), tokenizer, length, `${data}, to train on`);
    const rest = test === undefined ? text.slice(cut) : await readText(test);
    const held = blocks(rest, tokenizer, length, test ?? `${data}, held out`);
    const { records, heldOut: few } = DEFAULTS.quick;
    const [trained, measured] = common.quick ? [firstOf(train, records), firstOf(held, few)] : [train, held];
    return {
      make,
      train: trained,
      exam: examOf(measured),
      unit: { one: `one block of ${length} tokens of the text`, many: 'blocks' },
      notCovered: [
        'where documents and authors begin and end: somebody who wrote many blocks is hidden less',
        'that a text of another length moves all blocks behind it: epsilon is about one block among others that stay as they are',
        ...(folder === null ? [] : [LEARNED_TOKENIZER]),
      ],
      tokenizer: folder,
      settings: { block: length, tokenizer: folder === null ? BYTES : 'folder' },
      before: true,
      baselines: () => ({
        unigram: {
          perplexity: unigramPerplexity({ of: train, count: trained.length }, { of: held, count: measured.length }),
        },
      }),
    };
  },

  load: (folder) => fromPretrained(folder, { task: 'causal-lm' }),

  async exam(model, folder, data, settings): Promise<Exam<CausalLM>> {
    const tokenizer = await storedTokenizer(folder, settings);
    checkVocabulary('evaluate', tokenizer, model.backbone.vocabulary);
    return examOf(blocks(await readText(data), tokenizer, settings.block as number, data));
  },
};

/** The tokenizer of a run folder. */
export async function storedTokenizer(folder: string, { tokenizer }: Json): Promise<TextTokenizer> {
  const named = tokenizer === BYTES ? BYTES : folder;
  return (await chooseTokenizer('evaluate', named, { kind: 'pretrained', folder })).tokenizer;
}

/** What a model reads, asked of one that is made for it and freed. */
export async function limits(
  make: () => Promise<{
    readonly backbone: { readonly vocabulary: number; readonly maxLength: number };
    dispose(): void;
  }>,
): Promise<{ vocabulary: number; maxLength: number }> {
  const model = await make();
  const { vocabulary, maxLength } = model.backbone;
  model.dispose();
  return { vocabulary, maxLength };
}

// A character outside the basic plane is two units of a string, and stays in one part.
function wholeCharacters(text: string, cut: number): number {
  return (text.codePointAt(cut - 1) ?? 0) > 0xffff ? cut - 1 : cut;
}

function checkLength(block: number, most: number): void {
  check.integer(NAME, { block }, 2);
  if (block > most)
    raise(
      'ERR_INVALID_ARGUMENT',
      `${NAME}: block must be at most ${most}, what the model has positions for, got ${block}.`,
    );
}

function blocks(text: string, tokenizer: TextTokenizer, length: number, what: string): TokenDataset {
  const tokens = tokenizer.encode(text, { specials: false }).length;
  if (tokens < length)
    raise(
      'ERR_INVALID_ARGUMENT',
      `${what}: ${tokens} tokens do not fill one block of ${length}. Give more text, or a smaller --block.`,
    );
  return textBlocks(text, { tokenizer, length });
}

function examOf(held: HeldOut<TokenBatch>): Exam<CausalLM> {
  return { records: held.length, measure: (model, tell) => ({ perplexity: perplexityOf(model, held, tell) }) };
}
