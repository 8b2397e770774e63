// Item sequences in two flat arrays, seen in three ways: whole, for training (tail cut off), for evaluation (one item of the tail).

import { createHash } from 'node:crypto';
import * as check from '../check';
import { raise } from '../errors';
import { pack, type Batch, type PackOptions } from './batches';

/** All sequences: `items[offsets[i] .. offsets[i + 1]]` are the items 1..itemCount of sequence i in time order. */
export interface FlatSequences {
  readonly items: Int32Array;
  /** `[sequences + 1]`, not decreasing, from 0. */
  readonly offsets: Int32Array;
  readonly itemCount: number;
}

/**
 * Training records: one sequence a record. Nothing is copied: `sequence(i)` is a view, to be read only.
 */
export class SequenceDataset {
  readonly #flat: FlatSequences;
  readonly #heldOut: number;

  /** @param heldOut  How many items at the end of each sequence are kept from training. */
  constructor(flat: FlatSequences, heldOut = 0) {
    checkFlat('SequenceDataset', flat);
    check.integer('SequenceDataset', { heldOut });
    this.#flat = flat;
    this.#heldOut = heldOut;
  }

  /**
   * A dataset from plain arrays.
   *
   * @throws ERR_INVALID_ARGUMENT for an item that is not a whole number from 1 to `itemCount`.
   * @example SequenceDataset.from([[1, 5, 9], [2, 5]], 10)
   */
  static from(sequences: readonly ArrayLike<number>[], itemCount: number): SequenceDataset {
    return new SequenceDataset(flatten(sequences, itemCount));
  }

  /** Number of records. */
  get length(): number {
    return this.#flat.offsets.length - 1;
  }

  /** Items are 1..itemCount; 0 is padding. */
  get itemCount(): number {
    return this.#flat.itemCount;
  }

  lengthOf(record: number): number {
    const { offsets } = this.#flat;
    check.integer('SequenceDataset', { record }, 0, this.length - 1);
    return (offsets[record + 1] as number) - (offsets[record] as number) - this.#heldOut;
  }

  /** The record's items in time order, a view. */
  sequence(record: number): Int32Array {
    const length = this.lengthOf(record);
    const start = this.#flat.offsets[record] as number;
    return this.#flat.items.subarray(start, start + length);
  }

  /** Actions in all records. */
  get actions(): number {
    return this.#flat.items.length - this.length * this.#heldOut;
  }

  /** Physical batches of one logical batch: see {@link pack}. */
  pack(recordIds: Int32Array, options: PackOptions): Batch[] {
    return pack(this, recordIds, options);
  }

  /**
   * SHA-256 over number of items, lengths and items, as hexadecimal text. Two datasets with equal fingerprints train the same.
   * It is computed from private data without noise: it belongs into a private checkpoint, not into a published statement.
   */
  fingerprint(): string {
    const hash = createHash('sha256');
    const lengths = Int32Array.from({ length: this.length }, (_, record) => this.lengthOf(record));
    hash.update(`phantomgrad sequences 1: ${this.itemCount} items, ${this.length} records\n`);
    hash.update(bytes(lengths));
    for (let record = 0; record < this.length; record++) hash.update(bytes(this.sequence(record)));
    return hash.digest('hex');
  }
}

/** Histories with the item that came next. Nothing is copied: `history(i)` is a view, to be read only. */
export class EvaluationSet {
  readonly #flat: FlatSequences;
  readonly #after: number;

  /** @param after  How many items follow the target: 0 for the last item of each sequence, 1 for the second to last. */
  constructor(flat: FlatSequences, after = 0) {
    checkFlat('EvaluationSet', flat);
    check.integer('EvaluationSet', { after });
    this.#flat = flat;
    this.#after = after;
  }

  get length(): number {
    return this.#flat.offsets.length - 1;
  }

  get itemCount(): number {
    return this.#flat.itemCount;
  }

  /** Every item before the target, in time order. */
  history(index: number): Int32Array {
    const start = this.#flat.offsets[index] as number;
    return this.#flat.items.subarray(start, this.#position(index));
  }

  /** The item to be predicted, 1..itemCount. */
  target(index: number): number {
    return this.#flat.items[this.#position(index)] as number;
  }

  #position(index: number): number {
    check.integer('EvaluationSet', { index }, 0, this.length - 1);
    return (this.#flat.offsets[index + 1] as number) - 1 - this.#after;
  }
}

/** @throws ERR_INVALID_ARGUMENT for an item beyond the vocabulary. */
export function flatten(sequences: readonly ArrayLike<number>[], itemCount: number): FlatSequences {
  check.list('SequenceDataset', { sequences });
  sequences.forEach((sequence, k) => check.row('SequenceDataset', { [`sequences[${k}]`]: sequence }));
  check.integer('SequenceDataset', { itemCount }, 1);
  const offsets = new Int32Array(sequences.length + 1);
  sequences.forEach((sequence, i) => (offsets[i + 1] = (offsets[i] as number) + sequence.length));
  const items = new Int32Array(offsets[sequences.length] as number);
  sequences.forEach((sequence, i) => {
    for (let k = 0; k < sequence.length; k++) {
      const item = sequence[k] as number;
      if (!(Number.isInteger(item) && item >= 1 && item <= itemCount)) {
        raise(
          'ERR_INVALID_ARGUMENT',
          `SequenceDataset: items must be whole numbers from 1 to ${itemCount}, got ${item} in sequence ${i} at position ${k}.`,
        );
      }
      items[(offsets[i] as number) + k] = item;
    }
  });
  return { items, offsets, itemCount };
}

function checkFlat(operation: string, flat: FlatSequences): void {
  check.object(operation, { flat });
  const { items, offsets, itemCount } = flat;
  check.row(operation, { items });
  check.row(operation, { offsets });
  check.integer(operation, { 'offsets.length': offsets.length }, 1);
  check.integer(operation, { 'the last of offsets': offsets[offsets.length - 1]! }, items.length, items.length);
  check.integer(operation, { itemCount });
}

function bytes(array: Int32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
