// The tokenizer of a Hugging Face model folder.

import * as check from '../../check';
import { raise } from '../../errors';
import { refuse } from '../readers/failure';
import { readTokenizerFiles, type TokenizerFiles } from './folder-files';
import { BARE, type Frame, framed } from './frame';
import type { DecodeOptions, Encoded, EncodeOptions, SpecialIds, TextTokenizer } from './text-tokenizer';

// What is used of `@huggingface/tokenizers`. Its own declarations import each other without extensions, which TypeScript cannot follow here.
interface Engine {
  encode(
    text: string,
    options: EngineOptions,
  ): { ids: (number | undefined)[]; tokens: string[]; token_type_ids?: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  get_vocab(withAdded: boolean): Map<string, number>;
}

interface EngineOptions {
  text_pair?: string | null;
  add_special_tokens?: boolean;
  return_token_type_ids?: boolean;
}

interface EngineModule {
  readonly Tokenizer: new (description: object, config: object) => Engine;
}

export interface TokenizerOptions {
  /** Number of rows of the model's embedding, to be sure that the two belong together. */
  readonly vocabularySize?: number;
}

/**
 * Reads the tokenizer of a model folder: `tokenizer.json` with `tokenizer_config.json` and `special_tokens_map.json`, or the older forms
 * `vocab.json` + `merges.txt`, `encoder.json` + `vocab.bpe` (GPT-2, RoBERTa) and `vocab.txt` (BERT WordPiece). BPE, WordPiece and Unigram
 * run in JavaScript (`@huggingface/tokenizers`).
 *
 * Known difference: Unigram (T5) drops U+200D, the joiner of emoji, where the Rust tokenizers keep it.
 *
 * @throws ERR_DATA_FORMAT (file, line) for missing or malformed files.
 * @throws ERR_VOCABULARY when an id does not fit into `vocabularySize`.
 * @example const gpt2 = await data.tokenizer('models/gpt2', { vocabularySize: 50257 }); gpt2.encode('Once upon a time');
 */
export async function tokenizer(folder: string, options: TokenizerOptions = {}): Promise<FolderTokenizer> {
  check.onlyKnown('tokenizer', options, ['vocabularySize']);
  const { vocabularySize } = options;
  if (vocabularySize !== undefined) check.integer('tokenizer', { vocabularySize }, 1);
  const files = await readTokenizerFiles(folder);
  const { Tokenizer } = (await import('@huggingface/tokenizers')) as unknown as EngineModule;
  let engine: Engine;
  try {
    engine = new Tokenizer(files.description, files.config);
  } catch (error) {
    return refuse({ file: files.file }, 'a tokenizer that can be built', (error as Error).message, error);
  }
  const made = new FolderTokenizer(engine, files);
  if (vocabularySize !== undefined && made.vocabularySize > vocabularySize) {
    raise(
      'ERR_VOCABULARY',
      `tokenizer: ${files.file} has ids up to ${made.vocabularySize - 1}, the model has room for ${vocabularySize}. ` +
        'Take the tokenizer of the same folder as the weights.',
    );
  }
  return made;
}

const ROLES = ['bos', 'eos', 'pad', 'unk', 'cls', 'sep', 'mask'] as const;

// By these names BERT, GPT-2 and RoBERTa know their tokens where no configuration says so.
const USUAL: Readonly<Record<(typeof ROLES)[number], readonly string[]>> = {
  bos: ['<s>', '<|endoftext|>'],
  eos: ['</s>', '<|endoftext|>'],
  pad: ['<pad>', '[PAD]'],
  unk: ['<unk>', '[UNK]'],
  cls: ['[CLS]', '<s>'],
  sep: ['[SEP]', '</s>'],
  mask: ['<mask>', '[MASK]'],
};

/** Made by {@link tokenizer}. */
export class FolderTokenizer implements TextTokenizer {
  readonly vocabularySize: number;
  readonly special: SpecialIds;
  readonly #engine: Engine;
  readonly #single: Frame;
  readonly #cleanUp: boolean;
  readonly #file: string;
  readonly #bare: boolean;
  #pair: Frame | undefined;

  /** @internal Use {@link tokenizer}. */
  constructor(engine: Engine, files: TokenizerFiles) {
    check.able('FolderTokenizer', { engine }, 'get_vocab', 'what data.tokenizer() reads');
    check.object('FolderTokenizer', { files });
    const { file, description, config } = files;
    this.#engine = engine;
    this.#file = file;
    let most = -1;
    for (const id of engine.get_vocab(true).values()) most = Math.max(most, id);
    if (most < 0) refuse({ file }, 'a vocabulary', 'an empty one');
    this.vocabularySize = most + 1;
    this.special = specialIds(engine, config, file);
    const kind = (description['post_processor'] as { type?: string } | null)?.type;
    this.#bare = kind === undefined || kind === 'ByteLevel'; // the latter moves offsets only, and the engine forgets the second text
    this.#single = this.#probe(false);
    this.#cleanUp = config['clean_up_tokenization_spaces'] === true;
  }

  encode(text: string, { specials = true, maxLength }: EncodeOptions = {}): Int32Array {
    if (maxLength !== undefined) check.integer('encode', { maxLength }, 1);
    return framed(specials ? this.#single : BARE, [this.#plain(text)], maxLength).ids;
  }

  encodePair(first: string, second: string, { specials = true, maxLength }: EncodeOptions = {}): Encoded {
    if (maxLength !== undefined) check.integer('encodePair', { maxLength }, 1);
    return framed(
      specials ? (this.#pair ??= this.#probe(true)) : BARE,
      [this.#plain(first), this.#plain(second)],
      maxLength,
    );
  }

  decode(ids: ArrayLike<number>, { skipSpecials = true }: DecodeOptions = {}): string {
    const list = Array.from(ids);
    const stranger = list.find((id) => this.#engine.id_to_token(id) === undefined);
    if (stranger !== undefined) raise('ERR_VOCABULARY', `decode: there is no token ${stranger}.`);
    if (list.length === 0) return ''; // the engine refuses an empty list
    return this.#engine.decode(list, {
      skip_special_tokens: skipSpecials,
      clean_up_tokenization_spaces: this.#cleanUp,
    });
  }

  /** Id of a token as the vocabulary spells it, or undefined. */
  idOf(token: string): number | undefined {
    return this.#engine.token_to_id(token);
  }

  #plain(text: string): Int32Array {
    const { ids, tokens } = this.#engine.encode(text, { add_special_tokens: false });
    const unknown = ids.findIndex((id) => id === undefined);
    if (unknown >= 0)
      raise(
        'ERR_VOCABULARY',
        `encode: there is no token for ${JSON.stringify(tokens[unknown])}, and none for unknown text.`,
      );
    return Int32Array.from(ids as number[]);
  }

  // What the post-processor puts around texts, read off two letters: files describe it in four ways.
  #probe(pair: boolean): Frame {
    if (this.#bare) return BARE;
    const letters = (pair ? ['a', 'b'] : ['a']).map((letter) => this.#plain(letter));
    const whole = this.#engine.encode('a', { text_pair: pair ? 'b' : null, return_token_type_ids: true });
    const types = Uint8Array.from({ length: whole.ids.length }, (_, k) => whole.token_type_ids?.[k] ?? 0);
    const ids = Int32Array.from(whole.ids as number[]);
    const starts: number[] = [];
    let from = 0;
    for (const letter of letters) {
      const at = letter.length === 0 ? -1 : indexOf(ids, letter, from);
      if (at < 0)
        refuse(
          { file: this.#file },
          'a post-processor that puts special tokens around texts',
          'one that changes or drops texts',
        );
      starts.push(at);
      from = at + letter.length;
    }
    const part = (start: number, end: number): Encoded => ({
      ids: ids.slice(start, end),
      types: types.slice(start, end),
    });
    const firstEnd = starts[0]! + letters[0]!.length;
    return {
      before: part(0, starts[0]!),
      between: part(firstEnd, starts[1] ?? firstEnd),
      after: part(from, ids.length),
      types: [types[starts[0]!] ?? 0, types[starts[1] ?? starts[0]!] ?? 0],
    };
  }
}

function specialIds(engine: Engine, config: Readonly<Record<string, unknown>>, file: string): SpecialIds {
  const entries = ROLES.map((role): [string, number | null] => {
    const given = config[`${role}_token`] as string | { content: string } | null | undefined;
    if (given === undefined) {
      const known = USUAL[role].find((token) => engine.token_to_id(token) !== undefined);
      return [role, known === undefined ? null : engine.token_to_id(known)!];
    }
    if (given === null) return [role, null];
    const content = typeof given === 'string' ? given : given.content;
    const id = engine.token_to_id(content);
    if (id === undefined) refuse({ file }, `the ${role} token ${JSON.stringify(content)} in the vocabulary`, 'none');
    return [role, id];
  });
  return Object.fromEntries(entries) as Record<(typeof ROLES)[number], number | null>;
}

function indexOf(ids: Int32Array, part: Int32Array, from: number): number {
  for (let at = from; at + part.length <= ids.length; at++) {
    if (part.every((id, k) => ids[at + k] === id)) return at;
  }
  return -1;
}
