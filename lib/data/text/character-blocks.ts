// Plain text as records of a language model: disjoint blocks of characters over a public alphabet.

import * as check from '../../check';
import { raise } from '../../errors';
import { quote, refuse } from '../readers/failure';
import { SequenceDataset } from '../sequences';

const PRINTABLE = Array.from({ length: 95 }, (_, k) => String.fromCharCode(32 + k)).join('');

/**
 * Characters and their numbers, from 1. It is public: it must be written down without looking at private text, and a character outside
 * of it is refused rather than added.
 */
export class Alphabet {
  readonly #numbers: ReadonlyMap<string, number>;

  /** @param characters  Each once. Default: newline and printable ASCII, 96 characters. @throws ERR_INVALID_ARGUMENT */
  constructor(readonly characters = `\n${PRINTABLE}`) {
    check.anyText('Alphabet', { characters });
    const list = Array.from(characters);
    this.#numbers = new Map(list.map((character, k) => [character, k + 1]));
    if (list.length === 0 || this.#numbers.size !== list.length) {
      raise('ERR_INVALID_ARGUMENT', 'Alphabet: characters must be a text that holds every character once.');
    }
  }

  get size(): number {
    return this.#numbers.size;
  }

  /** @param file  Named when a character is refused. @throws ERR_DATA_FORMAT with the line. */
  encode(text: string, file = 'text'): Int32Array {
    const characters = Array.from(text);
    return Int32Array.from(
      characters,
      (character, k) =>
        this.#numbers.get(character) ??
        refuse(
          { file, line: characters.slice(0, k).filter((earlier) => earlier === '\n').length + 1 },
          `characters of the public alphabet (${this.size})`,
          quote(character),
        ),
    );
  }

  decode(ids: ArrayLike<number>): string {
    const list = Array.from(this.characters);
    return Array.from(ids, (id) => list[id - 1] ?? '').join('');
  }
}

export interface CharacterBlocks {
  readonly train: SequenceDataset;
  /** The end of the text. */
  readonly validation: SequenceDataset;
}

/**
 * Cuts a text into disjoint blocks of `length` + 1 characters, so that every character belongs to one record: a block gives `length`
 * predictions. What is left over at the end of each part belongs to none.
 *
 * The blocks are the privacy unit: ε speaks of one block more or less, not of a play, a speaker or an author, who fill many.
 *
 * @param ids  As {@link Alphabet.encode} gives them. @param options.heldOut  Share at the end for validation. Default 0.1.
 * @throws ERR_DATA_FORMAT when a part does not fill a block. ERR_INVALID_ARGUMENT
 */
export function characterBlocks(
  ids: Int32Array,
  alphabet: Alphabet,
  options: { length: number; heldOut?: number; file?: string },
): CharacterBlocks {
  check.row('characterBlocks', { ids });
  check.object('characterBlocks', { alphabet });
  check.onlyKnown('characterBlocks', options, ['length', 'heldOut', 'file']);
  const { length, heldOut = 0.1, file = 'text' } = options;
  check.integer('characterBlocks', { length }, 1);
  check.between('characterBlocks', { heldOut }, 0, 1);
  const end = Math.floor(ids.length * (1 - heldOut));
  const blocks = (part: Int32Array): Int32Array[] =>
    Array.from({ length: Math.floor(part.length / (length + 1)) }, (_, k) =>
      part.subarray(k * (length + 1), (k + 1) * (length + 1)),
    );
  const [train, validation] = [blocks(ids.subarray(0, end)), blocks(ids.subarray(end))];
  if (train.length === 0 || validation.length === 0) {
    const most = Math.ceil((length + 1) / Math.min(heldOut, 1 - heldOut)) + 1;
    refuse(
      { file },
      `at least ${most} characters (blocks of ${length + 1}, a share of ${heldOut} held out)`,
      `${ids.length}`,
    );
  }
  return {
    train: SequenceDataset.from(train, alphabet.size),
    validation: SequenceDataset.from(validation, alphabet.size),
  };
}
