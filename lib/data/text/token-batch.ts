// Physical batches of token sequences without padding, in the rows and offsets that every model of this library reads.

import { raise } from '../../errors';
import { packRecords } from '../pack';

/** What a row that does not count has as target. */
export const IGNORE = -100;

/** One physical batch of token rows. All 64-bit fields are ready for LibTorch. */
export interface TokenBatch {
  /** Number of sequences, B: one a record. */
  readonly samples: number;
  /** Number of rows of all sequences together, N. */
  readonly rows: number;
  /** `[N]` token of each row. */
  readonly ids: BigInt64Array;
  /** `[N]` position of each row in its sequence, from 0. */
  readonly positions: BigInt64Array;
  /** `[N]` 0 or 1: the part of a pair that the row belongs to; absent where the tokenizer tells no parts apart. */
  readonly tokenTypes?: BigInt64Array;
  /** `[B + 1]` rows `offsets[b] .. offsets[b + 1]` belong to sequence b (cuSeqlens). */
  readonly offsets: BigInt64Array;
  /**
   * `[N]` the token that the row should predict, -100 where it does not count. Already shifted for causal models: nothing more is to be
   * shifted (unlike `labels` of {@link PaddedBatch}). All -100 for classification by a head.
   */
  readonly targets: BigInt64Array;
  /** `[B]` class of each sample, where the data set has classes. */
  readonly classes?: BigInt64Array;
  /** `[B]` record of each sample. */
  readonly recordIds: Int32Array;
  /** True for the last physical batch of its logical batch. */
  readonly completesStep: boolean;
}

export interface TokenPackOptions {
  /** Rows of one physical batch at most, except for a single longer sequence. */
  readonly rowBudget: number;
  /** What the model can read. Longer data are refused: they are cut where they are made, not here. */
  readonly maxLength?: number;
  /** `all`: rows count as the data set says. Nothing else is possible here. */
  readonly targets?: 'all' | 'last';
  /** Logical step: chooses among the sequences of a record that has several. */
  readonly step?: number;
}

/** One sequence as the model reads it: rows and what each should predict. */
export interface TokenRows {
  readonly ids: Int32Array;
  readonly targets: Int32Array;
  readonly types: Uint8Array | null;
}

/** What {@link packTokens} needs to know of a data set. */
export interface TokenSource {
  readonly hasTypes: boolean;
  readonly hasClasses: boolean;
  rowsOf(record: number, step: number): TokenRows;
  classOf(record: number): number;
}

/**
 * Lays out the records of one logical batch. An empty draw gives one batch without rows; the last batch has `completesStep`.
 *
 * @throws ERR_INVALID_ARGUMENT for a record outside the data set.
 */
export function packTokens(source: TokenSource, recordIds: Int32Array, rowBudget: number, step: number): TokenBatch[] {
  const read = new Map<number, TokenRows>();
  for (const record of recordIds) {
    if (read.has(record)) raise('ERR_INVALID_ARGUMENT', `pack: records must be distinct, got ${record} twice.`);
    read.set(record, source.rowsOf(record, step));
  }
  const rows = Array.from(recordIds, (record) => read.get(record)!.ids.length);
  const groups = packRecords(recordIds, rows, { rowBudget });
  return groups.map((group, k) => layOut(source, group, read, k === groups.length - 1));
}

function layOut(
  source: TokenSource,
  recordIds: Int32Array,
  read: ReadonlyMap<number, TokenRows>,
  completesStep: boolean,
): TokenBatch {
  const parts = Array.from(recordIds, (record) => read.get(record)!);
  const offsets = new BigInt64Array(parts.length + 1);
  parts.forEach(({ ids }, b) => (offsets[b + 1] = offsets[b]! + BigInt(ids.length)));
  const rows = Number(offsets[parts.length]);
  return {
    samples: parts.length,
    rows,
    ids: wide(rows, parts, ({ ids }, k) => ids[k]!),
    positions: wide(rows, parts, (_, k) => k),
    ...(source.hasTypes ? { tokenTypes: wide(rows, parts, ({ types }, k) => types![k]!) } : {}),
    offsets,
    targets: wide(rows, parts, ({ targets }, k) => targets[k]!),
    ...(source.hasClasses
      ? { classes: BigInt64Array.from(Array.from(recordIds), (record) => BigInt(source.classOf(record))) }
      : {}),
    recordIds,
    completesStep,
  };
}

// Small integers as int64 without a BigInt a row: low word and sign (all supported machines are little-endian).
function wide(rows: number, parts: readonly TokenRows[], value: (part: TokenRows, k: number) => number): BigInt64Array {
  const words = new Int32Array(2 * rows);
  let at = 0;
  for (const part of parts) {
    for (let k = 0; k < part.ids.length; k++) {
      const number = value(part, k);
      words[at++] = number;
      words[at++] = number >> 31;
    }
  }
  return new BigInt64Array(words.buffer);
}
