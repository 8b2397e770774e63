// Made-up text that looks like a play: speakers, sentences, words of syllables, some words far more often than others.

import * as check from '../../check';
import { cumulate, pick, Prng } from './prng';

export interface SyntheticTextOptions {
  /** Length of the text. */
  readonly characters: number;
  /** Equal seeds give equal texts. Default 1. */
  readonly seed?: number;
}

const ONSETS = ['b', 'c', 'd', 'f', 'g', 'h', 'l', 'm', 'n', 'p', 'r', 's', 't', 'w', 'th', 'st', 'br', 'cl', ''];
const VOWELS = ['a', 'e', 'i', 'o', 'u', 'ea', 'ou'];
const CODAS = ['', '', '', 'n', 'r', 's', 't', 'd', 'll', 'ck'];
const WORDS = 400;
const SPEAKERS = 12;
const FOLLOWERS = 6;

/**
 * Words are made of syllables and drawn by Zipf's law; half of the time the next word is one of six that usually follow, so that there is
 * something to learn beyond the spelling. Newline, letters and `,.!?:` only: all in the default {@link Alphabet}. For trying
 * things out anywhere; what is learned from it says nothing about real text.
 *
 * @throws ERR_INVALID_ARGUMENT
 */
export function syntheticText(options: SyntheticTextOptions): string {
  check.onlyKnown('syntheticText', options, ['characters', 'seed']);
  const { characters, seed = 1 } = options;
  check.integer('syntheticText', { characters }, 1);
  check.integer('syntheticText', { seed });
  const random = new Prng(seed);
  const one = (list: readonly string[]): string => list[random.below(list.length)] as string;
  const words = Array.from({ length: WORDS }, () =>
    Array.from({ length: 1 + random.below(3) }, () => one(ONSETS) + one(VOWELS) + one(CODAS)).join(''),
  );
  const zipf = cumulate(Float64Array.from(words, (_, rank) => 1 / (rank + 1)));
  const followers = words.map(() => Array.from({ length: FOLLOWERS }, () => pick(zipf, random)));
  const names = words.slice(-SPEAKERS).map((word) => word.toUpperCase());
  const sentence = (): string => {
    let at = pick(zipf, random);
    const length = 4 + random.below(9);
    const parts = Array.from({ length }, (_, k) => {
      at = random.uniform() < 0.5 ? (followers[at]?.[random.below(FOLLOWERS)] as number) : pick(zipf, random);
      const comma = k < length - 1 && random.uniform() < 0.1 ? ',' : '';
      return `${words[at] as string}${comma}`;
    });
    const text = parts.join(' ');
    return `${text.charAt(0).toUpperCase()}${text.slice(1)}${one(['.', '.', '.', '!', '?'])}`;
  };
  let text = '';
  while (text.length < characters) {
    const speech = Array.from({ length: 1 + random.below(4) }, sentence).join('\n');
    text += `${one(names)}:\n${speech}\n\n`;
  }
  return text.slice(0, characters);
}
