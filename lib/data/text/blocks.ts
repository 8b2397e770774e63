// Plain text as records for language models: disjoint blocks of equally many tokens.

import * as check from '../../check';
import { quote, refuse } from '../readers/failure';
import { openSource } from '../readers/source';
import { wholeText } from '../readers/utf8';
import type { TextTokenizer } from '../tokenizer';
import { TokenDataset } from './token-dataset';

export interface BlockOptions {
  readonly tokenizer: TextTokenizer;
  /** Tokens of a block; each but the last predicts the one after it. */
  readonly length: number;
  /** The last tokens that fill no block: left out (default), or a shorter block. */
  readonly rest?: 'drop' | 'keep';
}

/**
 * Reads a text file (UTF-8, gzip by content) whole; line ends become LF.
 *
 * @throws ERR_DATA_FORMAT for a missing, empty, binary or damaged file.
 */
export async function readText(path: string): Promise<string> {
  const text = (await wholeText(await openSource(path))).replace(/\r\n?/g, '\n');
  if (text.trim() === '') refuse({ file: path }, 'text', quote(text));
  if (text.includes('\0')) refuse({ file: path }, 'text (UTF-8)', 'binary content');
  return text;
}

/**
 * Cuts a text into disjoint blocks: every token belongs to exactly one record.
 *
 * Privacy: the record is a block of text, wherever documents or authors begin and end. Where one author wrote many blocks, ε holds for each
 * block, not for the author; make a {@link TokenDataset} of one record an author for that.
 *
 * @throws ERR_INVALID_ARGUMENT when the text fills no block.
 * @example const blocks = data.textBlocks(await data.readText('input.txt'), { tokenizer: gpt2, length: 128 })
 */
export function textBlocks(text: string, options: BlockOptions): TokenDataset {
  check.onlyKnown('textBlocks', options, ['tokenizer', 'length', 'rest']);
  const { tokenizer, length, rest = 'drop' } = options;
  check.integer('textBlocks', { length }, 2);
  check.oneOf('textBlocks', { rest }, ['drop', 'keep']);
  const ids = tokenizer.encode(text, { specials: false });
  const records: { sequences: [{ ids: Int32Array }] }[] = [];
  for (let at = 0; at < ids.length; at += length) {
    const block = ids.subarray(at, at + length);
    // A single token has nothing to predict.
    if (block.length === length || (rest === 'keep' && block.length > 1)) records.push({ sequences: [{ ids: block }] });
  }
  check.integer('textBlocks', { blocks: records.length }, 1);
  return new TokenDataset(records, { objective: 'causal', vocabularySize: tokenizer.vocabularySize });
}
