// Token sequences as training records: what is read, what is predicted, and which sequences make up one record.

import { createHash } from 'node:crypto';
import * as check from '../../check';
import { raise } from '../../errors';
import { packTokens, type SequenceParts, type TokenPackOptions } from './token-batch';
import { IGNORED_LABEL, type TokenBatch } from './tokens';

/**
 * What rows predict. Labels are never shifted here: a causal model does that.
 *
 * - `causal`: every row the token after it.
 * - `masked`: a row the token that its own place should hold.
 * - `classify`: rows predict nothing, the record has a class.
 */
export type Objective = 'causal' | 'masked' | 'classify';

/** One token sequence. */
export interface TokenSequence {
  readonly ids: ArrayLike<number>;
  /** Aligned with `ids`, as Hugging Face's `labels`: the token to be predicted at this place, -100 where none is. Default: `causal`: `ids`; else none. */
  readonly labels?: ArrayLike<number>;
  /** Aligned with `ids`: 0 or 1. All sequences of a data set have it or none. */
  readonly types?: ArrayLike<number>;
}

/** One record: what one unit of privacy protects. */
export interface TokenRecord {
  /** At least one. Of several, each draw of the record trains on one. */
  readonly sequences: readonly TokenSequence[];
  /** Class from 0. All records have it or none. */
  readonly class?: number;
}

export interface TokenDatasetOptions {
  readonly objective: Objective;
  /** Ids and labels are below it. */
  readonly vocabularySize: number;
  /** Number of classes, where records have one. */
  readonly classes?: number;
  /** Which of several sequences a draw takes; not a secret. Default 0. */
  readonly seed?: number;
}

/**
 * Records of token sequences for `engine.batches`.
 *
 * A record with several sequences (all references of one meaning, all documents of one author) is still one record: a draw of it trains on
 * one of its sequences, chosen by seed, step and what the engine knows the record by, never by what else was drawn. Its gradient is clipped as a whole, so ε holds for
 * adding or removing all its sequences at once.
 */
export class TokenDataset {
  readonly objective: Objective;
  readonly vocabularySize: number;
  /** Number of classes; null where records have none. */
  readonly classes: number | null;
  /** Tokens of the longest sequence. */
  readonly longest: number;
  readonly seed: number;
  readonly #ids: Int32Array;
  readonly #labels: Int32Array;
  readonly #types: Uint8Array | null;
  readonly #classOf: Int32Array | null;
  readonly #offsets: Int32Array; // of sequences, in tokens
  readonly #records: Int32Array; // of records, in sequences

  /**
   * @throws ERR_INVALID_ARGUMENT when there is no record, a record has no sequence, a sequence no token, or fields have other lengths.
   * @throws ERR_VOCABULARY for an id or label outside the vocabulary.
   */
  constructor(records: readonly TokenRecord[], options: TokenDatasetOptions) {
    check.onlyKnown('TokenDataset', options, ['objective', 'vocabularySize', 'classes', 'seed']);
    const { objective, vocabularySize, classes, seed = 0 } = options;
    check.oneOf('TokenDataset', { objective }, ['causal', 'masked', 'classify']);
    check.integer('TokenDataset', { vocabularySize }, 1);
    check.integer('TokenDataset', { seed });
    if (classes !== undefined) check.integer('TokenDataset', { classes }, 1);
    this.objective = objective;
    this.vocabularySize = vocabularySize;
    this.classes = classes ?? null;
    this.seed = seed;
    const sequences = records.flatMap((record) => record.sequences);
    checkRecords(records, sequences, options);
    this.#records = runningSum(records.map((record) => record.sequences.length));
    this.#offsets = runningSum(sequences.map(({ ids }) => ids.length));
    this.longest = sequences.reduce((most, { ids }) => Math.max(most, ids.length), 0);
    const fallback = objective === 'causal' ? (one: TokenSequence) => one.ids : () => null;
    this.#ids = flat(this.#offsets, sequences, (one) => one.ids, 0);
    this.#labels = flat(this.#offsets, sequences, (one) => one.labels ?? fallback(one), IGNORED_LABEL);
    const typed = sequences[0]?.types !== undefined;
    this.#types = typed ? Uint8Array.from(flat(this.#offsets, sequences, (one) => one.types ?? null, 0)) : null;
    this.#classOf = classes === undefined ? null : Int32Array.from(records, (record) => record.class!);
    checkVocabulary('ids', this.#ids, vocabularySize, 0);
    checkVocabulary('labels', this.#labels, vocabularySize, IGNORED_LABEL);
  }

  /** Number of records. */
  get length(): number {
    return this.#records.length - 1;
  }

  /** Number of tokens of all sequences. */
  get tokens(): number {
    return this.#ids.length;
  }

  get hasTypes(): boolean {
    return this.#types !== null;
  }

  /** False where rows predict nothing: `classify`. */
  get hasLabels(): boolean {
    return this.objective !== 'classify';
  }

  get hasClasses(): boolean {
    return this.#classOf !== null;
  }

  /** Number of sequences of a record. */
  sequencesOf(record: number): number {
    check.integer('TokenDataset', { record }, 0, this.length - 1);
    return this.#records[record + 1]! - this.#records[record]!;
  }

  /** Number of tokens of a record's sequence. */
  lengthOf(record: number, sequence = 0): number {
    const [start, end] = this.#range(record, sequence);
    return end - start;
  }

  /** Tokens of a record's sequence, a view. */
  ids(record: number, sequence = 0): Int32Array {
    return this.#ids.subarray(...this.#range(record, sequence));
  }

  /** Labels of a record's sequence, aligned with `ids`, -100 where nothing is predicted; a view. */
  labels(record: number, sequence = 0): Int32Array {
    return this.#labels.subarray(...this.#range(record, sequence));
  }

  /** Parts of a pair, aligned with `ids`; null where the data have none. */
  types(record: number, sequence = 0): Uint8Array | null {
    const [start, end] = this.#range(record, sequence);
    return this.#types?.subarray(start, end) ?? null;
  }

  /** @throws ERR_INVALID_ARGUMENT where records have no class. */
  classOf(record: number): number {
    check.integer('TokenDataset', { record }, 0, this.length - 1);
    return (
      this.#classOf?.[record] ?? raise('ERR_INVALID_ARGUMENT', 'classOf: the records of this data set have no classes.')
    );
  }

  /**
   * Which sequence of a record step number `step` trains on.
   *
   * @param choice  A number from 0 to 2^32 - 1 that stands for the record. Default: its own, which says how many records are before it and
   *   will not do for training with privacy.
   */
  sequenceAt(record: number, step: number, choice = record): number {
    const count = this.sequencesOf(record);
    return count === 1 ? 0 : mixed(this.seed, choice, step) % count;
  }

  /** What a step reads of a record; `choice` as in {@link sequenceAt}. */
  partsAt(record: number, step: number, choice?: number): SequenceParts {
    const sequence = this.sequenceAt(record, step, choice);
    const labels = this.hasLabels ? this.labels(record, sequence) : null;
    return { ids: this.ids(record, sequence), labels, types: this.types(record, sequence) };
  }

  /**
   * Physical batches of one logical batch.
   *
   * @throws ERR_INVALID_ARGUMENT when a sequence of the data set has more tokens than `maxLength`, or for `targets: 'last'`.
   */
  pack(recordIds: Int32Array, options: TokenPackOptions): TokenBatch[] {
    const { maxLength = Infinity, targets = 'all' } = options;
    check.oneOf('pack', { targets }, ['all']);
    if (this.longest > maxLength) {
      raise(
        'ERR_INVALID_ARGUMENT',
        `pack: the model reads ${maxLength} tokens, the data have sequences of ${this.longest}. Give maxLength where the data set is made.`,
      );
    }
    return packTokens(this, recordIds, options);
  }

  /**
   * SHA-256 over everything that training sees, as hexadecimal text. Two data sets with equal fingerprints train the same.
   * It is computed from private data without noise: it belongs into a private checkpoint, not into a published statement.
   */
  fingerprint(): string {
    const hash = createHash('sha256');
    const { objective, vocabularySize, classes, seed, length } = this;
    hash.update(`phantomgrad tokens 1: ${JSON.stringify({ objective, vocabularySize, classes, seed, length })}\n`);
    for (const part of [this.#records, this.#offsets, this.#ids, this.#labels, this.#types, this.#classOf]) {
      hash.update(part === null ? 'none\n' : `${part.length}\n`);
      if (part !== null) hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    }
    return hash.digest('hex');
  }

  #range(record: number, sequence: number): [number, number] {
    check.integer('TokenDataset', { sequence }, 0, this.sequencesOf(record) - 1);
    const at = this.#records[record]! + sequence;
    return [this.#offsets[at]!, this.#offsets[at + 1]!];
  }
}

function checkRecords(
  records: readonly TokenRecord[],
  sequences: readonly TokenSequence[],
  { classes }: TokenDatasetOptions,
): void {
  const refuse = (what: string): never => raise('ERR_INVALID_ARGUMENT', `TokenDataset: ${what}.`);
  if (records.length === 0) refuse('there must be at least one record, got none');
  records.forEach((record, k) => {
    if (record.sequences.length === 0) refuse(`record ${k} has no sequence`);
    if ((record.class !== undefined) !== (classes !== undefined))
      refuse(
        `either every record has a class and the option classes says how many there are, or neither; see record ${k}`,
      );
    if (classes !== undefined && !(Number.isInteger(record.class) && record.class! >= 0 && record.class! < classes))
      refuse(`classes must be 0..${classes - 1}, got ${record.class} in record ${k}`);
  });
  const typed = sequences[0]?.types !== undefined;
  sequences.forEach(({ ids, labels = ids, types }, k) => {
    if (ids.length === 0) refuse(`sequence ${k} has no tokens`);
    if (labels.length !== ids.length || (types ?? ids).length !== ids.length)
      refuse(
        `ids, labels and types must be equally long, got ${ids.length}, ${labels.length} and ${types?.length ?? 'none'}`,
      );
    if ((types !== undefined) !== typed) refuse('either every sequence has types or none');
  });
}

function checkVocabulary(what: string, values: Int32Array, size: number, least: number): void {
  const at = values.findIndex((id) => !((id >= 0 && id < size) || id === least));
  if (at >= 0) raise('ERR_VOCABULARY', `TokenDataset: ${what} must be 0..${size - 1}, got ${values[at]}.`);
}

function flat(
  offsets: Int32Array,
  sequences: readonly TokenSequence[],
  values: (one: TokenSequence) => ArrayLike<number> | null,
  absent: number,
): Int32Array {
  const all = new Int32Array(offsets[sequences.length]!).fill(absent);
  sequences.forEach((one, k) => {
    const part = values(one);
    if (part !== null) all.set(part, offsets[k]);
  });
  return all;
}

function runningSum(lengths: readonly number[]): Int32Array {
  const sums = new Int32Array(lengths.length + 1);
  lengths.forEach((length, k) => (sums[k + 1] = sums[k]! + length));
  return sums;
}

// A well-mixed number from three: which reference is trained on need not be unpredictable, only spread evenly.
function mixed(...parts: readonly number[]): number {
  let state = 0x9e3779b9;
  for (const part of parts) {
    state = Math.imul(state ^ part, 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
    state ^= state >>> 16;
  }
  return state >>> 0;
}
