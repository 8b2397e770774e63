// Text from the model of a folder: prompts in words, or tables for a model that was trained on them.

import * as check from '../../check';
import { linearise, relexicalise, tablePrompt, type TextTokenizer, tokenizer } from '../../data';
import { raise } from '../../errors';
import { fromPretrained, generate, type GenerateOptions, modelFolder } from '../../models';
import type { Json } from '../../models/pretrained/config';
import { checkDevice } from '../../tensor';
import { isFineTuned, readSettings } from './folder';
import { TASKS } from './job';
import { storedTokenizer } from './lm';
import { fieldsOf } from './table2text';
import { checkVocabulary } from './tokenizers';

export interface WriteOptions extends GenerateOptions {
  /** Folder of the tokenizer. Default: that of the model. */
  readonly tokenizer?: string;
  /** Where the model runs: `cpu`, `cuda` or `cuda:N`. Default `cpu`. */
  readonly device?: string;
}

/** A prompt, and what a model has written after it. */
export interface Written {
  readonly prompt: string;
  readonly text: string;
}

/**
 * Continues prompts with the model of a run folder, or of any folder of a causal language model. Prompts of different lengths run side by
 * side. To a model of `train table2text` a prompt is a table, as `name[The Eagle], eatType[pub]` or as `name : The Eagle | Type : pub`.
 *
 * @throws ERR_DEVICE, ERR_MODEL_NOT_FOUND, ERR_RUN_FOLDER for a model that writes nothing, ERR_VOCABULARY, ERR_INVALID_ARGUMENT.
 * @example const [{ text }] = await write('private-gpt2', ['Once upon a time'], { maxNewTokens: 40, doSample: true, topP: 0.9 })
 */
export async function write(
  nameOrFolder: string,
  prompts: readonly string[],
  given: WriteOptions = {},
): Promise<Written[]> {
  check.object('generate', { options: given });
  const { tokenizer: named, device = 'cpu', ...options } = given;
  check.text('generate', { nameOrFolder });
  check.list('generate', { prompts });
  check.integer('generate', { prompts: prompts.length }, 1);
  for (const prompt of prompts)
    if (typeof prompt !== 'string')
      raise('ERR_INVALID_ARGUMENT', `generate: a prompt must be text, got ${typeof prompt}.`);
  checkDevice('generate', device);
  const folder = modelFolder(nameOrFolder);
  const stored = isFineTuned(folder) ? await readSettings(folder, Object.keys(TASKS)) : null;
  if (stored !== null && stored.task !== 'lm' && stored.task !== 'table2text')
    return raise('ERR_RUN_FOLDER', `${folder}: was trained for ${stored.task}, and writes no text.`);
  const model = await fromPretrained(folder, { task: 'causal-lm' });
  try {
    model.to(device);
    const words =
      named === undefined && stored !== null
        ? await storedTokenizer(folder, stored.settings)
        : await tokenizer(named ?? folder);
    checkVocabulary('generate', words, model.backbone.vocabulary);
    const table = stored?.task === 'table2text' ? stored.settings : null;
    const ids = prompts.map((prompt) => encode(prompt, words, table));
    const end = table === null ? {} : { eosTokenId: words.special.eos ?? words.special.sep };
    const written = generate(model, ids, { ...end, ...options });
    return prompts.map((prompt, k) => {
      const text = words.decode(written[k] ?? []);
      return { prompt, text: table === null ? text : relexicalise(text, lineOf(prompt), fieldsOf(table)) };
    });
  } finally {
    model.dispose();
  }
}

const lineOf = (prompt: string): string => linearise(prompt) ?? prompt;

function encode(prompt: string, words: TextTokenizer, table: Json | null): Int32Array {
  const ids =
    table === null
      ? words.encode(prompt, { specials: false })
      : tablePrompt(lineOf(prompt), {
          tokenizer: words,
          maxSource: table.maxSource as number,
          delexicalise: fieldsOf(table),
        });
  if (prompt.trim() === '' || ids.length === 0)
    raise('ERR_INVALID_ARGUMENT', 'generate: a prompt must hold text, got an empty one.');
  const { bos } = words.special;
  // Models of the Llama kind have seen every text begin with this token.
  return table === null && bos !== null && words.encode('a')[0] === bos ? Int32Array.from([bos, ...ids]) : ids;
}
