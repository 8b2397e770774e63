// Classification as filling in a word: "<text> It was [MASK]." with a word for every class, so that no head is trained from nothing.

import * as check from '../../check';
import { raise } from '../../errors';
import { cutLongest } from '../tokenizer/frame';
import type { TextTokenizer } from '../tokenizer';
import { labelOf } from './classification';
import type { ClassifiedTexts, GlueTask } from './glue';
import { IGNORED_LABEL } from './tokens';
import { TokenDataset, type TokenRecord } from './token-dataset';

/** How an example is put to a masked language model. */
export interface Prompt {
  /**
   * Text with `{mask}` once, and `{0}`, `{1}` for the texts of the example. `{0-}` leaves out the text's last character (a full stop, before
   * a question mark of the template); `{1+}` begins it with a small letter.
   */
  readonly template: string;
  /** The word of each class, with the space before it where the tokenizer keeps spaces (GPT-2, RoBERTa). One token each. */
  readonly words: readonly string[];
}

/** Templates and words of Gao et al. 2021 (arXiv 2012.15723, Table 1), which Li et al. 2022 (arXiv 2110.05679) fine-tune with privately. */
export const PROMPTS: Readonly<Record<GlueTask, Prompt>> = {
  sst2: { template: '{0} It was {mask}.', words: [' terrible', ' great'] },
  mnli: { template: '{0-}? {mask}, {1+}', words: [' Yes', ' Maybe', ' No'] },
  qnli: { template: '{0-}? {mask}, {1+}', words: [' Yes', ' No'] },
  qqp: { template: '{0} {mask}, {1+}', words: [' No', ' Yes'] },
};

export interface InfillingOptions extends Prompt {
  readonly tokenizer: TextTokenizer;
  /** Tokens of an example, special tokens and template included; the longer text is cut first, the template never. */
  readonly maxLength: number;
}

/** Records, and what reads their answers. */
export interface Infilling {
  /** Objective `masked`: the word of the class at the mask, nothing elsewhere; `classes` says the class as well. */
  readonly records: TokenDataset;
  /** Token of each class's word: the class with the largest logit at the mask is the answer. */
  readonly wordIds: Int32Array;
}

/**
 * Puts examples to a masked language model.
 *
 * @throws ERR_INVALID_ARGUMENT for a template without exactly one mask, words that are not one token or not distinct, a tokenizer without a
 *   mask token, or a `maxLength` that the template alone fills.
 * @example const { records, wordIds } = data.infilling(train, { ...data.PROMPTS.sst2, tokenizer: roberta, maxLength: 128 });
 */
export function infilling(data: ClassifiedTexts, options: InfillingOptions): Infilling {
  check.onlyKnown('infilling', options, ['template', 'words', 'tokenizer', 'maxLength']);
  const { tokenizer, maxLength, template, words } = options;
  check.integer('infilling', { maxLength }, 1);
  if (words.length !== data.labels.length)
    raise('ERR_INVALID_ARGUMENT', `infilling: ${data.labels.length} classes need as many words, got ${words.length}.`);
  const mask = tokenizer.special.mask ?? raise('ERR_INVALID_ARGUMENT', 'infilling: the tokenizer has no mask token.');
  const wordIds = Int32Array.from(words, (word) => oneToken(tokenizer, word));
  if (new Set(wordIds).size !== words.length)
    raise('ERR_INVALID_ARGUMENT', `infilling: every class needs a word of its own, got ${words.join(', ')}.`);
  const pieces = piecesOf(template);
  // What stands around an empty text stands around every one.
  const around = tokenizer.encode('');
  const open = tokenizer.special.cls === null && tokenizer.special.bos === null ? 0 : Math.min(1, around.length);
  const records = data.examples.map(({ texts, label }, k): TokenRecord => {
    const parts = pieces.map((piece) => encodePiece(piece, texts, tokenizer, mask));
    const ids = fit(parts, pieces, maxLength - around.length);
    const at = open + ids.maskAt;
    const whole = Int32Array.from([...around.subarray(0, open), ...ids.ids, ...around.subarray(open)]);
    const labels = new Int32Array(whole.length).fill(IGNORED_LABEL);
    const answer = labelOf('infilling', label, k);
    labels[at] = wordIds[answer]!;
    return { sequences: [{ ids: whole, labels }], class: answer };
  });
  const { vocabularySize } = tokenizer;
  return {
    records: new TokenDataset(records, { objective: 'masked', vocabularySize, classes: data.labels.length }),
    wordIds,
  };
}

type Piece =
  | { readonly kind: 'mask' }
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'text'; readonly index: number; readonly change: '' | '-' | '+'; readonly space: boolean };

function piecesOf(template: string): Piece[] {
  const pieces: Piece[] = [];
  let space = false;
  for (const part of template.split(/(\{mask\}|\{[01][-+]?\})/)) {
    if (part === '{mask}') pieces.push({ kind: 'mask' });
    else if (/^\{[01][-+]?\}$/.test(part))
      pieces.push({ kind: 'text', index: Number(part[1]), change: part.slice(2, -1) as '' | '-' | '+', space });
    else {
      // A space before a text belongs to its first word: tokenizers of the GPT-2 kind know words by it.
      const literal = part.trimEnd();
      space = literal !== part;
      if (literal !== '') pieces.push({ kind: 'literal', text: literal });
      continue;
    }
    space = false;
  }
  const masks = pieces.filter(({ kind }) => kind === 'mask').length;
  if (masks !== 1)
    raise('ERR_INVALID_ARGUMENT', `infilling: the template must hold {mask} once, got ${JSON.stringify(template)}.`);
  if (!pieces.some(({ kind }) => kind === 'text'))
    raise('ERR_INVALID_ARGUMENT', `infilling: the template must hold {0}, got ${JSON.stringify(template)}.`);
  return pieces;
}

function encodePiece(piece: Piece, texts: readonly string[], tokenizer: TextTokenizer, mask: number): Int32Array {
  if (piece.kind === 'mask') return Int32Array.of(mask);
  if (piece.kind === 'literal') return tokenizer.encode(piece.text, { specials: false });
  const { index, change, space } = piece;
  const given = texts[index];
  if (given === undefined)
    raise(
      'ERR_INVALID_ARGUMENT',
      `infilling: the template asks for text {${index}}, the examples have ${texts.length}.`,
    );
  const text = { '': given, '-': given.slice(0, -1), '+': given.slice(0, 1).toLowerCase() + given.slice(1) }[change];
  return tokenizer.encode(space ? ` ${text}` : text, { specials: false });
}

function fit(parts: readonly Int32Array[], pieces: readonly Piece[], room: number): { ids: number[]; maskAt: number } {
  const isText = (k: number): boolean => pieces[k]!.kind === 'text';
  const fixed = parts.reduce((sum, part, k) => sum + (isText(k) ? 0 : part.length), 0);
  if (fixed >= room)
    raise(
      'ERR_INVALID_ARGUMENT',
      `infilling: the template takes ${fixed} of ${Math.max(0, room)} tokens. Raise maxLength.`,
    );
  const cut = cutLongest(
    parts.filter((_, k) => isText(k)),
    room - fixed,
  );
  const ids: number[] = [];
  let maskAt = -1;
  let next = 0;
  parts.forEach((part, k) => {
    if (pieces[k]!.kind === 'mask') maskAt = ids.length;
    ids.push(...(isText(k) ? cut[next++]! : part));
  });
  return { ids, maskAt };
}

function oneToken(tokenizer: TextTokenizer, word: string): number {
  const ids = tokenizer.encode(word, { specials: false });
  if (ids.length !== 1)
    raise('ERR_INVALID_ARGUMENT', `infilling: a word must be one token, ${JSON.stringify(word)} is ${ids.length}.`);
  return ids[0]!;
}
