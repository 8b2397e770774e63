// Physical batches of token sequences without padding, in the rows and offsets that every model of this library reads.

import { raise } from '../../errors';
import { packRecords } from '../pack';
import type { TokenBatch } from './tokens';

export interface TokenPackOptions {
  /** Rows of one physical batch at most, except for a single longer sequence. */
  readonly rowBudget: number;
  /** What the model can read. Longer data are refused: they are cut where they are made, not here. */
  readonly maxLength?: number;
  /** `all`: rows count as the data set says. Nothing else is possible here. */
  readonly targets?: 'all' | 'last';
  /** Logical step: chooses among the sequences of a record that has several. */
  readonly step?: number;
  /** Given by an engine: the number that stands for a record in that choice. Default: its number in the data. */
  readonly choice?: (record: number) => number;
}

/** One sequence as the model reads it. */
export interface SequenceParts {
  readonly ids: Int32Array;
  /** Null where rows predict nothing. */
  readonly labels: Int32Array | null;
  readonly types: Uint8Array | null;
}

/** What {@link packTokens} needs to know of a data set. */
export interface TokenSource {
  readonly hasTypes: boolean;
  readonly hasLabels: boolean;
  readonly hasClasses: boolean;
  partsAt(record: number, step: number, choice?: number): SequenceParts;
  classOf(record: number): number;
}

/**
 * Lays out the records of one logical batch. An empty draw gives one batch without rows; the last batch has `completesStep`.
 *
 * @throws ERR_INVALID_ARGUMENT for a record outside the data set.
 */
export function packTokens(
  source: TokenSource,
  recordIds: Int32Array,
  { rowBudget, step = 0, choice }: TokenPackOptions,
): TokenBatch[] {
  const read = new Map<number, SequenceParts>();
  for (const record of recordIds) {
    if (read.has(record)) raise('ERR_INVALID_ARGUMENT', `pack: records must be distinct, got ${record} twice.`);
    read.set(record, source.partsAt(record, step, choice?.(record)));
  }
  const rows = Array.from(recordIds, (record) => read.get(record)!.ids.length);
  const groups = packRecords(recordIds, rows, { rowBudget });
  return groups.map((group, k) => layOut(source, group, read, k === groups.length - 1));
}

function layOut(
  source: TokenSource,
  recordIds: Int32Array,
  read: ReadonlyMap<number, SequenceParts>,
  completesStep: boolean,
): TokenBatch {
  const parts = Array.from(recordIds, (record) => read.get(record)!);
  const offsets = new BigInt64Array(parts.length + 1);
  parts.forEach(({ ids }, b) => (offsets[b + 1] = offsets[b]! + BigInt(ids.length)));
  const rows = Number(offsets[parts.length]);
  const positions = wide(rows, parts, (_, k) => k);
  return {
    samples: parts.length,
    rows,
    ids: wide(rows, parts, ({ ids }, k) => ids[k]!),
    positions,
    columns: positions,
    width: parts.reduce((most, { ids }) => Math.max(most, ids.length), 0),
    offsets,
    texts: offsets,
    ...(source.hasTypes ? { tokenTypeIds: wide(rows, parts, ({ types }, k) => types![k]!) } : {}),
    ...(source.hasLabels ? { labels: wide(rows, parts, ({ labels }, k) => labels![k]!) } : {}),
    ...(source.hasClasses ? { label: Float64Array.from(recordIds, (record) => source.classOf(record)) } : {}),
    recordIds,
    completesStep,
  };
}

// Small integers as int64 without a BigInt a row: low word and sign (all supported machines are little-endian).
function wide(
  rows: number,
  parts: readonly SequenceParts[],
  value: (part: SequenceParts, k: number) => number,
): BigInt64Array {
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
