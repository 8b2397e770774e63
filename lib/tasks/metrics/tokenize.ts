// How texts are cut into words before n-grams are counted: mteval's 13a, and ROUGE's letters and digits.

import * as check from '../../check';

// Python's str.split() also splits at these; JavaScript's \s lacks them, and has U+FEFF, which Python does not split at.
const SPACES = /[\t-\r\x1c-\x20\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

const RULES: readonly (readonly [RegExp, string])[] = [
  [/([{-~[-` -&(-+:-@/])/g, ' $1 '], // every ASCII sign but apostrophe, comma, dash and full stop
  [/([^0-9])([.,])/gu, '$1 $2 '],
  [/([.,])([^0-9])/gu, ' $1 $2'],
  [/([0-9])(-)/g, '$1 $2 '],
];

const ENTITIES: readonly (readonly [string, string])[] = [
  ['&quot;', '"'],
  ['&amp;', '&'],
  ['&lt;', '<'],
  ['&gt;', '>'],
];

/**
 * Words as mteval-v13a.pl and sacrebleu's tokenizer `13a` see them, in their letters.
 *
 * @example tokenize13a("It's 3.5-fold, isn't it?")  // ["It's", '3.5', '-', 'fold', ',', "isn't", 'it', '?']
 */
export function tokenize13a(text: string): string[] {
  check.anyText('tokenize13a', { text });
  let line = text.replaceAll('<skipped>', '').replaceAll('-\n', '').replaceAll('\n', ' ');
  for (const [entity, sign] of ENTITIES) line = line.replaceAll(entity, sign);
  line = ` ${line} `;
  for (const [pattern, spaced] of RULES) line = line.replace(pattern, spaced);
  return line.split(SPACES).filter((word) => word !== '');
}

/** Small letters and digits, everything else between words, as rouge-score does without stemming: "café" is "caf". */
export function tokenizeRouge(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
}
