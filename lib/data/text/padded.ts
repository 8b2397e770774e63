// The padded form of token sequences: `[B, T]` with an attention mask, as models of Hugging Face take it.

import * as check from '../../check';
import { IGNORED_LABEL } from './tokens';
import type { TokenDataset } from './token-dataset';

export interface PadOptions {
  /** What stands in empty places; it is never attended to and never predicted. Any id of the vocabulary will do. */
  readonly padId: number;
  /** `right` (default) for training; `left` for generation, so that all prompts end at the same place. */
  readonly side?: 'left' | 'right';
  /** Ids kept at most: the first ones when padded on the right, the last ones (nearest to what is generated) on the left. */
  readonly maxLength?: number;
}

/** `[B, T]` in row-major order; T is the longest sequence, 0 for an empty batch. */
export interface PaddedIds {
  readonly shape: readonly [number, number];
  readonly inputIds: BigInt64Array;
  /** 1 where there is a token, 0 on padding. */
  readonly attentionMask: BigInt64Array;
  /** Position in its own sequence, from 0, wherever the padding stands; 0 on padding. */
  readonly positions: BigInt64Array;
}

/** A padded batch of records. */
export interface PaddedBatch extends PaddedIds {
  /** Aligned with `inputIds` (a causal model shifts them itself), -100 on prompts and padding. */
  readonly labels: BigInt64Array;
  /** Absent where the data have no types. */
  readonly tokenTypes?: BigInt64Array;
  /** `[B]`, absent where the data have no classes. */
  readonly classes?: BigInt64Array;
  readonly recordIds: Int32Array;
}

/**
 * Pads sequences to the longest.
 *
 * @throws ERR_INVALID_ARGUMENT for options out of range.
 */
export function padIds(sequences: readonly ArrayLike<number>[], options: PadOptions): PaddedIds {
  const { padId, side, maxLength } = checkOptions(options);
  check.list('padIds', { sequences });
  sequences.forEach((ids, k) => check.row('padIds', { [`sequences[${k}]`]: ids }));
  const lengths = sequences.map(({ length }) => Math.min(length, maxLength));
  const [rows, width] = [sequences.length, lengths.reduce((most, length) => Math.max(most, length), 0)];
  const field = (fill: number): BigInt64Array => new BigInt64Array(rows * width).fill(BigInt(fill));
  const [inputIds, attentionMask, positions] = [field(padId), field(0), field(0)];
  sequences.forEach((ids, b) => {
    const [length, start, at] = place(ids.length, b, width, side, maxLength);
    for (let k = 0; k < length; k++) {
      inputIds[at + k] = BigInt(ids[start + k]!);
      attentionMask[at + k] = 1n;
      positions[at + k] = BigInt(k);
    }
  });
  return { shape: [rows, width], inputIds, attentionMask, positions };
}

/**
 * Records of a data set in padded form, for models and tools outside this library. Own models read packed rows (`dataset.pack`), which
 * never compute on padding.
 *
 * @param recordIds  Any number of records, none included.
 * @param options  `step` chooses among the sequences of records that have several, as in `pack`. Default 0.
 */
export function padRecords(
  dataset: TokenDataset,
  recordIds: Int32Array,
  given: PadOptions & { readonly step?: number },
): PaddedBatch {
  check.able('padRecords', { dataset }, 'sequenceAt', 'a data set of tokens');
  check.row('padRecords', { recordIds });
  check.object('padRecords', { options: given });
  const { step = 0, ...options } = given;
  const chosen = Array.from(recordIds, (record) => [record, dataset.sequenceAt(record, step)] as const);
  const padded = padIds(
    chosen.map(([record, k]) => dataset.ids(record, k)),
    options,
  );
  const { side, maxLength } = checkOptions(options);
  const [, width] = padded.shape;
  const spread = (values: (record: number, k: number) => ArrayLike<number>, fill: number): BigInt64Array => {
    const field = new BigInt64Array(chosen.length * width).fill(BigInt(fill));
    chosen.forEach(([record, sequence], b) => {
      const part = values(record, sequence);
      const [length, start, at] = place(part.length, b, width, side, maxLength);
      for (let k = 0; k < length; k++) field[at + k] = BigInt(part[start + k]!);
    });
    return field;
  };
  return {
    ...padded,
    labels: spread((record, k) => dataset.labels(record, k), IGNORED_LABEL),
    ...(dataset.hasTypes ? { tokenTypes: spread((record, k) => dataset.types(record, k)!, 0) } : {}),
    ...(dataset.hasClasses
      ? { classes: BigInt64Array.from(chosen.map(([record]) => BigInt(dataset.classOf(record)))) }
      : {}),
    recordIds,
  };
}

// How many values of a sequence are kept, the first of them, and where it goes.
function place(
  length: number,
  row: number,
  width: number,
  side: 'left' | 'right',
  maxLength: number,
): [number, number, number] {
  const kept = Math.min(length, maxLength);
  return side === 'right' ? [kept, 0, row * width] : [kept, length - kept, (row + 1) * width - kept];
}

function checkOptions(options: PadOptions): Required<PadOptions> {
  check.onlyKnown('padIds', options, ['padId', 'side', 'maxLength']);
  const { padId, side = 'right', maxLength = Infinity } = options;
  check.integer('padIds', { padId });
  check.oneOf('padIds', { side }, ['left', 'right']);
  if (maxLength !== Infinity) check.integer('padIds', { maxLength }, 1);
  return { padId, side, maxLength };
}
