// From labels of tokens to the rows that are asked for something: the next token, or the token itself.

import { IGNORED_LABEL, type TokenBatch } from '../../data/text/tokens';
import { raise } from '../../errors';

export interface Targets {
  /** Rows of the batch that are asked. */
  readonly rows: BigInt64Array;
  /** What each of them is asked. */
  readonly targets: BigInt64Array;
  /** `[B + 1]` which of them belong to which example. */
  readonly offsets: BigInt64Array;
}

/**
 * @param classes  Labels are 0 to classes − 1.
 * @param shift  1 (default): a row is asked for the label of the row after it, inside its text. 0: for its own.
 * @throws ERR_INVALID_ARGUMENT for a batch without labels, or a label out of range.
 */
export function targetsOf({ labels, texts, offsets, samples }: TokenBatch, classes: number, shift: 0 | 1 = 1): Targets {
  // A batch into which nothing was drawn has none, and is a step like the others.
  if (labels === undefined && samples > 0)
    raise('ERR_INVALID_ARGUMENT', 'loss: the batch has no labels. Give each example labels, such as its inputIds.');
  const rows: bigint[] = [];
  const targets: bigint[] = [];
  const ends = new BigInt64Array(samples + 1);
  let text = 0;
  for (let b = 0; b < samples; b++) {
    for (; text + 1 < texts.length && (texts[text + 1] as bigint) <= (offsets[b + 1] as bigint); text++) {
      for (let row = (texts[text] as bigint) + BigInt(shift); row < (texts[text + 1] as bigint); row++) {
        const label = labels![Number(row)] as bigint;
        if (label === BigInt(IGNORED_LABEL)) continue;
        if (label < 0n || label >= BigInt(classes))
          raise('ERR_INVALID_ARGUMENT', `loss: the label ${label} is not from 0 to ${classes - 1}.`);
        rows.push(row - BigInt(shift));
        targets.push(label);
      }
    }
    ends[b + 1] = BigInt(rows.length);
  }
  return { rows: BigInt64Array.from(rows), targets: BigInt64Array.from(targets), offsets: ends };
}
