// Physical batches of sequences without padding: rows of all samples one after another, and where each sample begins.

import * as check from '../check';
import { packRecords } from './pack';

/** Some sequences side by side, for a model that reads rows and a segmentation. All 64-bit fields are ready for LibTorch. */
export interface SequenceRows {
  /** Number of sequences, B. */
  readonly samples: number;
  /** Number of rows of all sequences together, N. */
  readonly rows: number;
  /** `[N]` item of each row, 1..itemCount. */
  readonly ids: BigInt64Array;
  /** `[N]` position of each row; the most recent row of every sequence stands at `maxLength - 1` (see {@link BatchOptions}). */
  readonly positions: BigInt64Array;
  /** `[B + 1]` rows `offsets[b] .. offsets[b + 1]` belong to sequence b (cuSeqlens). */
  readonly offsets: BigInt64Array;
}

/** One physical batch of training rows. */
export interface Batch extends SequenceRows {
  /** `[N]` the item that followed each row, 1..itemCount. */
  readonly targets: BigInt64Array;
  /** `[N]` 1 where the row counts in the loss, else 0; absent where all rows count. */
  readonly weights?: Float32Array;
  /** `[B]` record of each sample, so that a loss can be matched with the sampler's draw and dropout keyed by record. */
  readonly recordIds: Int32Array;
  /** True for the last physical batch of its logical batch. */
  readonly completesStep: boolean;
}

export interface BatchOptions {
  /**
   * Rows kept of each sequence: the most recent ones. Positions count back from `maxLength - 1`, as in SASRec's left padding, so the
   * row that predicts the next item always has the same position. Default: the longest sequence of the batch is kept whole and
   * positions count from 0.
   */
  readonly maxLength?: number;
  /** `all` (default): every row predicts the item after it. `last`: only the last row of a sequence counts. */
  readonly targets?: 'all' | 'last';
}

export interface PackOptions extends BatchOptions {
  /** Rows of one physical batch at most, except for a single longer sequence. */
  readonly rowBudget: number;
}

/** What `pack` needs to know of a dataset. */
export interface Sequences {
  readonly length: number;
  lengthOf(record: number): number;
  sequence(record: number): Int32Array;
}

/**
 * The physical batches of one logical batch. A sequence s of n items (cut to its last `maxLength + 1`) gives n - 1 rows: inputs
 * s[0..n-2], targets s[1..n-1]. A sequence of one item gives a sample without rows, whose loss is 0; it stays in the batch, because
 * which records were drawn must not depend on their content.
 *
 * @param recordIds  Distinct records 0..length-1, in any order; empty for an empty draw.
 * @returns At least one batch; the last one has `completesStep`.
 * @throws ERR_INVALID_ARGUMENT for a record outside the dataset or options out of range.
 */
export function pack(dataset: Sequences, recordIds: Int32Array, options: PackOptions): Batch[] {
  check.able('pack', { dataset }, 'lengthOf', 'a data set of sequences');
  check.row('pack', { recordIds });
  check.object('pack', { options });
  const { targets = 'all', maxLength = Infinity } = options;
  check.oneOf('pack', { targets }, ['all', 'last']);
  if (maxLength !== Infinity) check.integer('pack', { maxLength }, 1);
  const rows = Int32Array.from(recordIds, (record) => Math.max(0, Math.min(dataset.lengthOf(record) - 1, maxLength)));
  const groups = packRecords(recordIds, rows, { rowBudget: options.rowBudget });
  return groups.map((group, k) => trainingBatch(dataset, group, maxLength, targets, k === groups.length - 1));
}

function trainingBatch(
  dataset: Sequences,
  recordIds: Int32Array,
  maxLength: number,
  targets: 'all' | 'last',
  completesStep: boolean,
): Batch {
  const cut = Array.from(recordIds, (record) => tail(dataset.sequence(record), maxLength + 1));
  const inputs = layOut(
    cut.map((sequence) => sequence.subarray(0, Math.max(0, sequence.length - 1))),
    maxLength,
  );
  const following = new BigInt64Array(inputs.rows);
  const words = lowWords(following);
  let row = 0;
  for (const sequence of cut) for (let k = 1; k < sequence.length; k++) words[2 * row++] = sequence[k] as number;
  const batch = { ...inputs, targets: following, recordIds, completesStep };
  return targets === 'all' ? batch : { ...batch, weights: lastRows(inputs) };
}

/**
 * Histories as rows, for scoring: every item is an input, and the last row of each sequence predicts what comes next.
 *
 * @param histories  Item numbers 1..itemCount in time order; an empty one gives a sequence without rows.
 * @throws ERR_INVALID_ARGUMENT for what is no list of histories.
 */
export function historyRows(
  histories: readonly Int32Array[],
  options: Pick<BatchOptions, 'maxLength'> = {},
): SequenceRows {
  check.list('historyRows', { histories });
  histories.forEach((history, k) => check.row('historyRows', { [`histories[${k}]`]: history }));
  check.onlyKnown('historyRows', options, ['maxLength']);
  const { maxLength = Infinity } = options;
  if (maxLength !== Infinity) check.integer('historyRows', { maxLength }, 1);
  return layOut(
    histories.map((history) => tail(history, maxLength)),
    maxLength,
  );
}

function layOut(sequences: readonly Int32Array[], maxLength: number): SequenceRows {
  const rows = sequences.reduce((sum, sequence) => sum + sequence.length, 0);
  const ids = new BigInt64Array(rows);
  const positions = new BigInt64Array(rows);
  const offsets = new BigInt64Array(sequences.length + 1);
  const [idWords, positionWords, offsetWords] = [lowWords(ids), lowWords(positions), lowWords(offsets)];
  let row = 0;
  sequences.forEach((sequence, b) => {
    const first = maxLength === Infinity ? 0 : maxLength - sequence.length;
    for (let k = 0; k < sequence.length; k++, row++) {
      idWords[2 * row] = sequence[k] as number;
      positionWords[2 * row] = first + k;
    }
    offsetWords[2 * (b + 1)] = row;
  });
  return { samples: sequences.length, rows, ids, positions, offsets };
}

function lastRows({ rows, samples, offsets }: SequenceRows): Float32Array {
  const weights = new Float32Array(rows);
  for (let b = 0; b < samples; b++) {
    const end = Number(offsets[b + 1]);
    if (end > Number(offsets[b])) weights[end - 1] = 1;
  }
  return weights;
}

function tail(sequence: Int32Array, length: number): Int32Array {
  return sequence.length <= length ? sequence : sequence.subarray(sequence.length - length);
}

// Small non-negative integers written as the low halves of int64, without a BigInt a row (all supported machines are little-endian).
function lowWords(array: BigInt64Array): Int32Array {
  return new Int32Array(array.buffer, array.byteOffset, array.length * 2);
}
