// Tokenizers that need no files: one id a character of a public text, or one id a byte.

import * as check from '../../check';
import { raise } from '../../errors';
import { BARE, framed } from './frame';
import {
  type DecodeOptions,
  type Encoded,
  type EncodeOptions,
  NO_SPECIALS,
  type TextTokenizer,
} from './text-tokenizer';

abstract class PlainTokenizer implements TextTokenizer {
  abstract readonly vocabularySize: number;
  readonly special = NO_SPECIALS;

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    return framed(BARE, [this.plain(text)], maxLengthOf('encode', options)).ids;
  }

  encodePair(first: string, second: string, options: EncodeOptions = {}): Encoded {
    return framed(BARE, [this.plain(first), this.plain(second)], maxLengthOf('encodePair', options));
  }

  abstract decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  protected abstract plain(text: string): Int32Array;
}

function maxLengthOf(operation: string, { maxLength }: EncodeOptions): number {
  if (maxLength !== undefined) check.integer(operation, { maxLength }, 1);
  return maxLength ?? Infinity;
}

/**
 * One id a character (Unicode code point) of the text it is made from, in the order of code points. There are no special tokens.
 *
 * Privacy: which characters occur is knowledge about the text, and no ε covers it. Make it from public text, or from the alphabet that
 * you would have written down without looking.
 *
 * @throws ERR_INVALID_ARGUMENT for an empty text.
 * @example const letters = new data.CharacterTokenizer(publicText); letters.decode(letters.encode('To be'))  // 'To be'
 */
export class CharacterTokenizer extends PlainTokenizer {
  /** Every character once; making a tokenizer from it again gives the same ids. */
  readonly alphabet: string;
  readonly vocabularySize: number;
  readonly #characters: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;

  constructor(text: string) {
    super();
    check.anyText('CharacterTokenizer', { text });
    const characters = [...new Set(text)].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
    if (characters.length === 0) raise('ERR_INVALID_ARGUMENT', 'CharacterTokenizer: the text must not be empty.');
    this.#characters = characters;
    this.#ids = new Map(characters.map((character, id) => [character, id]));
    this.alphabet = characters.join('');
    this.vocabularySize = characters.length;
  }

  override decode(ids: ArrayLike<number>): string {
    return Array.from(ids, (id) => {
      const character = this.#characters[id];
      return character ?? raise('ERR_VOCABULARY', `decode: ids must be 0..${this.vocabularySize - 1}, got ${id}.`);
    }).join('');
  }

  protected override plain(text: string): Int32Array {
    return Int32Array.from(Array.from(text), (character) => {
      const id = this.#ids.get(character);
      return id ?? raise('ERR_VOCABULARY', `encode: the alphabet has no ${JSON.stringify(character)}.`);
    });
  }
}

/** One id a byte of UTF-8, 0..255: a vocabulary that is public whatever the text. Broken sequences decode to U+FFFD. */
export class ByteTokenizer extends PlainTokenizer {
  readonly vocabularySize = 256;

  override decode(ids: ArrayLike<number>): string {
    for (let k = 0; k < ids.length; k++) {
      const id = ids[k]!;
      if (!(Number.isInteger(id) && id >= 0 && id <= 255))
        raise('ERR_VOCABULARY', `decode: ids must be 0..255, got ${id}.`);
    }
    return Buffer.from(Uint8Array.from(ids)).toString('utf8');
  }

  protected override plain(text: string): Int32Array {
    return Int32Array.from(Buffer.from(text, 'utf8'));
  }
}
