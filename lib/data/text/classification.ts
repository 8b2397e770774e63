// Classified texts as records for a model with a classification head.

import * as check from '../../check';
import { raise } from '../../errors';
import type { TextTokenizer } from '../tokenizer';
import type { ClassifiedTexts } from './glue';
import { TokenDataset } from './token-dataset';

export interface ClassificationOptions {
  readonly tokenizer: TextTokenizer;
  /** Tokens kept of an example, special tokens included; of a pair the longer text is cut first. */
  readonly maxLength: number;
}

/**
 * One record an example: the text, or both texts, inside the tokenizer's special tokens.
 *
 * @throws ERR_INVALID_ARGUMENT for examples without labels.
 */
export function classificationRecords(data: ClassifiedTexts, options: ClassificationOptions): TokenDataset {
  check.onlyKnown('classificationRecords', options, ['tokenizer', 'maxLength']);
  const { tokenizer, maxLength } = options;
  check.integer('classificationRecords', { maxLength }, 1);
  check.object('classificationRecords', { data });
  check.objects('classificationRecords', { examples: data.examples });
  check.able('classificationRecords', { tokenizer }, 'encode', 'a tokenizer');
  const pairs = data.examples.some(({ texts }) => texts.length === 2);
  const records = data.examples.map(({ texts, label }, k) => {
    const [first = '', second] = texts;
    const sequence =
      second === undefined
        ? { ids: tokenizer.encode(first, { maxLength }) }
        : tokenizer.encodePair(first, second, { maxLength });
    return { sequences: [pairs ? sequence : { ids: sequence.ids }], class: labelOf('classificationRecords', label, k) };
  });
  const { vocabularySize } = tokenizer;
  return new TokenDataset(records, { objective: 'classify', vocabularySize, classes: data.labels.length });
}

/** @throws ERR_INVALID_ARGUMENT for an example of a test file. */
export function labelOf(operation: string, label: number | null, example: number): number {
  return label ?? raise('ERR_INVALID_ARGUMENT', `${operation}: example ${example} has no label to train or test on.`);
}
