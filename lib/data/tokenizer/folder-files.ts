// What lies in a model's folder: the description of its tokenizer in today's form, made from the older forms where they are all there is.

import { existsSync, promises as fs } from 'node:fs';
import { join } from 'node:path';
import * as check from '../../check';
import { quote, refuse } from '../readers/failure';
import { bertDescription, gpt2Description, robertaDescription } from './older-forms';

type Json = Readonly<Record<string, unknown>>;

export interface TokenizerFiles {
  /** The file that the vocabulary comes from, for messages. */
  readonly file: string;
  /** Content of tokenizer.json, or its equivalent. */
  readonly description: Json;
  /** tokenizer_config.json, completed from special_tokens_map.json; empty where the folder has neither. */
  readonly config: Json;
}

const OLDER = [
  ['vocab.json', 'merges.txt'],
  ['encoder.json', 'vocab.bpe'],
] as const;

/** @throws ERR_DATA_FORMAT when the folder has no tokenizer, or a file of it is not what its name says. */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  check.text('tokenizer', { folder });
  const path = (name: string): string => join(folder, name);
  const has = (name: string): boolean => existsSync(path(name));
  const settings = async (name: string): Promise<Json> => (has(name) ? readJson(path(name)) : {});
  const config = { ...(await settings('special_tokens_map.json')), ...(await settings('tokenizer_config.json')) };
  if (has('tokenizer.json')) {
    const file = path('tokenizer.json');
    return { file, description: checkDescription(file, await readJson(file)), config };
  }
  for (const [vocabulary, merges] of OLDER) {
    if (!has(vocabulary) || !has(merges)) continue;
    const file = path(vocabulary);
    const vocab = checkVocabulary(file, await readJson(file));
    const rules = mergeRules(path(merges), await readText(path(merges)));
    const roberta = ['<s>', '</s>', '<mask>'].every((token) => token in vocab);
    if (!roberta && !('<|endoftext|>' in vocab))
      refuse({ file }, 'the vocabulary of GPT-2 or of RoBERTa', 'another one; save the tokenizer as tokenizer.json');
    return { file, description: (roberta ? robertaDescription : gpt2Description)(vocab, rules), config };
  }
  if (has('vocab.txt')) {
    const file = path('vocab.txt');
    const vocab = numbered(file, await readText(file));
    return { file, description: bertDescription(vocab, config['do_lower_case'] as boolean | undefined), config };
  }
  return refuse(
    { file: folder },
    'tokenizer.json, or vocab.json with merges.txt, encoder.json with vocab.bpe, or vocab.txt',
    existsSync(folder) ? 'none of them' : 'no folder of that name',
  );
}

async function readText(file: string): Promise<string> {
  try {
    return await fs.readFile(file, 'utf8');
  } catch (error) {
    return refuse({ file }, 'a readable file', (error as Error).message, error);
  }
}

async function readJson(file: string): Promise<Json> {
  const text = await readText(file);
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    return refuse({ file }, 'a JSON object', `${quote(text.slice(0, 60))} (${(error as Error).message})`, error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse({ file }, 'a JSON object', quote(value));
  return value as Json;
}

function checkDescription(file: string, description: Json): Json {
  const model = description['model'] as Json | undefined;
  if (typeof model !== 'object' || model === null || model['vocab'] === undefined)
    refuse({ file }, 'a tokenizer with model.vocab', 'none');
  // Python leaves parts out where there is nothing to say; the engine wants them named.
  const absent = { added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
  return { ...absent, ...description };
}

function checkVocabulary(file: string, vocab: Json): Record<string, number> {
  const entry = Object.entries(vocab).find(([, id]) => !(Number.isSafeInteger(id) && (id as number) >= 0));
  if (entry !== undefined) refuse({ file }, 'an id for every token', `${quote(entry[1])} for ${quote(entry[0])}`);
  return vocab as Record<string, number>;
}

function mergeRules(file: string, text: string): string[] {
  const rules: string[] = [];
  text.split(/\r?\n/).forEach((line, k) => {
    if (line === '' || (k === 0 && line.startsWith('#version'))) return;
    if (line.split(' ').length !== 2) refuse({ file, line: k + 1 }, 'two pieces separated by a space', quote(line));
    if (line.endsWith('</w>'))
      refuse(
        { file, line: k + 1 },
        'byte-level merges',
        `${quote(line)}, which marks ends of words; save tokenizer.json`,
      );
    rules.push(line);
  });
  return rules;
}

function numbered(file: string, text: string): Record<string, number> {
  const tokens = text.replace(/\r?\n$/, '').split(/\r?\n/);
  const vocab: Record<string, number> = Object.create(null) as Record<string, number>;
  tokens.forEach((token, id) => {
    if (token in vocab) refuse({ file, line: id + 1 }, 'every token once', `${quote(token)} again`);
    vocab[token] = id;
  });
  for (const token of ['[UNK]', '[CLS]', '[SEP]']) {
    if (!(token in vocab)) refuse({ file }, 'a WordPiece vocabulary with [UNK], [CLS] and [SEP]', `no ${token}`);
  }
  return vocab;
}
