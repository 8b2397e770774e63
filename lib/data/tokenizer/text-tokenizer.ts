// What text data need of a tokenizer, whatever it is made from: a folder of Hugging Face files, or the characters of a text.

import * as check from '../../check';

/** Token ids with the part of a pair that each belongs to. */
export interface Encoded {
  readonly ids: Int32Array;
  /** 0 or 1 for each id: the `token_type_ids` of BERT, all 0 for tokenizers that do not tell parts apart. */
  readonly types: Uint8Array;
}

export interface EncodeOptions {
  /** Puts the special tokens around the text that the tokenizer's files ask for. Default true. */
  readonly specials?: boolean;
  /** Ids kept at most, special tokens included: text is cut at its end, of a pair the longer text first. Default: all. */
  readonly maxLength?: number;
}

export interface DecodeOptions {
  /** Leaves special tokens out of the text. Default true. */
  readonly skipSpecials?: boolean;
}

/** The tokens that have a role; null where the tokenizer has none. */
export interface SpecialIds {
  readonly bos: number | null;
  readonly eos: number | null;
  readonly pad: number | null;
  readonly unk: number | null;
  readonly cls: number | null;
  readonly sep: number | null;
  readonly mask: number | null;
}

export const NO_SPECIALS: SpecialIds = {
  bos: null,
  eos: null,
  pad: null,
  unk: null,
  cls: null,
  sep: null,
  mask: null,
};

/**
 * From text to ids and back. Implementations: {@link FolderTokenizer}, {@link CharacterTokenizer}, {@link ByteTokenizer}.
 *
 * Privacy: which tokens exist is public knowledge. A vocabulary that was learnt from the private text is not covered by any ε.
 */
export interface TextTokenizer {
  /** Ids are 0..vocabularySize - 1. */
  readonly vocabularySize: number;
  readonly special: SpecialIds;
  /** @throws ERR_VOCABULARY for text that the vocabulary cannot express. */
  encode(text: string, options?: EncodeOptions): Int32Array;
  /** Two texts as one sequence. */
  encodePair(first: string, second: string, options?: EncodeOptions): Encoded;
  /** @throws ERR_VOCABULARY for an id outside the vocabulary. */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
}

/** Several texts at once, for {@link padIds}. */
export function encodeBatch(tokenizer: TextTokenizer, texts: readonly string[], options?: EncodeOptions): Int32Array[] {
  check.able('encodeBatch', { tokenizer }, 'encode', 'a tokenizer');
  check.texts('encodeBatch', { texts });
  return texts.map((text) => tokenizer.encode(text, options));
}
