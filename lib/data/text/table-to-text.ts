// Table-to-text pairs as records for a causal language model: the table, a separator, the text, an end.

import * as check from '../../check';
import { raise } from '../../errors';
import type { TextTokenizer } from '../tokenizer';
import { delexicaliseTable, delexicaliseText } from './delexicalise';
import { meanings, type TablePair } from './tables';
import { IGNORED_LABEL } from './tokens';
import { TokenDataset, type TokenSequence } from './token-dataset';

export interface TableToTextOptions {
  readonly tokenizer: TextTokenizer;
  /**
   * What one record is. `pair` (as in the literature): one table with one reference; ε then hides one reference, not a table that occurs with
   * eight of them. `mr`: one table with all its references, so that ε hides everything said about it; a draw trains on one of them.
   */
  readonly unit: 'pair' | 'mr';
  /** Tokens kept of a table. Default 256. */
  readonly maxSource?: number;
  /** Tokens kept of a reference, its end token included; a reference that is cut has none. Default 256. */
  readonly maxTarget?: number;
  /** Fields of E2E whose values become placeholders in table and text, by the names of the file: `['name', 'near']`. Default: none. */
  readonly delexicalise?: readonly string[];
  /** Chooses among the references of a record. Default 0. */
  readonly seed?: number;
}

/**
 * Records `table <bos> text <eos>`; only text and end are predicted. In GPT-2 both marks are `<|endoftext|>`.
 *
 * @throws ERR_INVALID_ARGUMENT for a tokenizer without an end token.
 * @example const train = data.tableToText(await data.e2e('trainset.csv'), { tokenizer: gpt2, unit: 'pair' });
 */
export function tableToText(pairs: readonly TablePair[], options: TableToTextOptions): TokenDataset {
  check.onlyKnown('tableToText', options, ['tokenizer', 'unit', 'maxSource', 'maxTarget', 'delexicalise', 'seed']);
  const { tokenizer, unit, maxTarget = 256, delexicalise = [], seed = 0 } = options;
  check.oneOf('tableToText', { unit }, ['pair', 'mr']);
  check.integer('tableToText', { maxTarget }, 1);
  check.objects('tableToText', { pairs });
  check.able('tableToText', { tokenizer }, 'encode', 'a tokenizer');
  const { eos } = marks(tokenizer);
  const sequence = (prompt: Int32Array, reference: string): TokenSequence => {
    const target = [...tokenizer.encode(` ${reference}`, { specials: false }), eos].slice(0, maxTarget);
    return { ids: [...prompt, ...target], labels: [...Array.from(prompt, () => IGNORED_LABEL), ...target] };
  };
  // By the tables as they are: two that differ in a name alone stay two records.
  const groups =
    unit === 'mr' ? meanings(pairs) : pairs.map(({ source, reference }) => ({ source, references: [reference] }));
  const records = groups.map(({ source, references }) => {
    const prompt = tablePrompt(source, options);
    return { sequences: references.map((text) => sequence(prompt, delexicaliseText(text, source, delexicalise))) };
  });
  return new TokenDataset(records, { objective: 'causal', vocabularySize: tokenizer.vocabularySize, seed });
}

/** What a model is given to write about a table: the beginning of its records, up to the separator. */
export function tablePrompt(
  source: string,
  options: Pick<TableToTextOptions, 'tokenizer' | 'maxSource' | 'delexicalise'>,
): Int32Array {
  check.object('tablePrompt', { options });
  const { tokenizer, maxSource = 256, delexicalise = [] } = options;
  check.able('tablePrompt', { tokenizer }, 'encode', 'a tokenizer');
  check.integer('tableToText', { maxSource }, 1);
  const ids = tokenizer.encode(` ${delexicaliseTable(source, delexicalise)}`, {
    specials: false,
    maxLength: maxSource,
  });
  return Int32Array.from([...ids, marks(tokenizer).bos]);
}

function marks({ special }: TextTokenizer): { bos: number; eos: number } {
  const eos = special.eos ?? special.sep;
  if (eos === null) raise('ERR_INVALID_ARGUMENT', 'tableToText: the tokenizer has no token for the end of a text.');
  return { eos, bos: special.bos ?? eos };
}
