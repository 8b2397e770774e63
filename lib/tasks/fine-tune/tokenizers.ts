// The tokenizer of a job: bytes, or the files of a folder, which a run folder keeps beside the weights.

import { existsSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';

import { ByteTokenizer, type TextTokenizer, tokenizer } from '../../data';
import { raise } from '../../errors';
import type { Source } from './source';

/** In the place of a folder: one token a byte. */
export const BYTES = 'bytes';

/** What a statement says of every tokenizer that is not given by nature. */
export const LEARNED_TOKENIZER = 'the tokenizer and its vocabulary, if they were learned from these data';

const FILES = [
  ...['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json'],
  ...['vocab.json', 'merges.txt', 'encoder.json', 'vocab.bpe', 'vocab.txt'],
] as const;

export interface ChosenTokenizer {
  readonly tokenizer: TextTokenizer;
  /** Null for bytes. */
  readonly folder: string | null;
}

/**
 * @param named  A folder or «bytes». Default: the folder of a pretrained model.
 * @throws ERR_INVALID_ARGUMENT where none is named and none belongs to the model, ERR_DATA_FORMAT for a folder without one.
 */
export async function chooseTokenizer(
  name: string,
  named: string | undefined,
  source: Source,
  fallback?: typeof BYTES,
): Promise<ChosenTokenizer> {
  const folder = named ?? (source.kind === 'pretrained' ? source.folder : fallback);
  if (folder === undefined)
    return raise('ERR_INVALID_ARGUMENT', `${name}: a model from scratch needs a tokenizer: --tokenizer DIR.`);
  if (folder === BYTES) return { tokenizer: new ByteTokenizer(), folder: null };
  return { tokenizer: await tokenizer(folder), folder };
}

/** Fields of a new model that follow from its tokenizer. */
export function tokenFields({ vocabularySize, special }: TextTokenizer): Readonly<Record<string, number | null>> {
  const { bos, eos, sep, pad } = special;
  const end = eos ?? sep;
  return { vocab_size: vocabularySize, bos_token_id: bos ?? end, eos_token_id: end, pad_token_id: pad };
}

/** @throws ERR_VOCABULARY for a tokenizer with more tokens than the model has rows for them. */
export function checkVocabulary(name: string, { vocabularySize }: TextTokenizer, rows: number): void {
  if (vocabularySize <= rows) return;
  raise(
    'ERR_VOCABULARY',
    `${name}: the tokenizer has ${vocabularySize} tokens, the model has room for ${rows}. Take the tokenizer that belongs to the model.`,
  );
}

/** Puts the tokenizer's files beside the weights, so that the folder is complete. */
export async function copyTokenizer(from: string, to: string): Promise<void> {
  for (const file of FILES) if (existsSync(join(from, file))) await copyFile(join(from, file), join(to, file));
}
