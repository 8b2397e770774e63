// Pairs of texts as numbers: what is read, and what is to be written, packed side by side without padding.

import { createHash } from 'node:crypto';

import * as check from '../../check';
import { raise } from '../../errors';
import { packRecords } from '../pack';
import type { TokenPackOptions } from './token-batch';
import { IGNORED_LABEL, type TokenBatchOptions, tokenBatch, type TokenExample, type TokenRows } from './tokens';

/** A text to read and one to write. */
export interface Seq2SeqExample extends Pick<TokenExample, 'inputIds' | 'attentionMask'> {
  /**
   * The tokens to be written, in their order and with the end token, as Hugging Face's `labels`: models shift them right themselves.
   * −100 is not asked for; at the end it is padding, and left out.
   */
  readonly labels: ArrayLike<number>;
}

/** The texts to be written. */
export interface TargetRows {
  /** `[M]` −100 where nothing is asked. */
  readonly labels: BigInt64Array;
  /** `[M]` position of each row in its text, from 0. */
  readonly positions: BigInt64Array;
  /** `[B + 1]` rows `offsets[b] .. offsets[b + 1]` belong to example b. */
  readonly offsets: BigInt64Array;
}

/** The rows of the texts that are read, with those of the texts to be written: the same examples in both. */
export interface Seq2SeqBatch extends TokenRows {
  readonly targets: TargetRows;
  /** `[B]` record of each example: dropout is keyed by it. */
  readonly recordIds?: Int32Array;
  /** True for the last physical batch of its logical batch. */
  readonly completesStep: boolean;
  /** Logical step, the other half of the key of dropout. */
  readonly step?: number;
}

/**
 * Lays pairs out as one physical batch.
 *
 * @throws ERR_INVALID_ARGUMENT for an empty text on either side, and ids or labels that are no tokens.
 * @example model.loss(seq2seqBatch([{ inputIds: [5, 6, 7, 1], labels: [8, 9, 1] }]))
 */
export function seq2seqBatch(examples: readonly Seq2SeqExample[], options: TokenBatchOptions = {}): Seq2SeqBatch {
  check.objects('seq2seqBatch', { examples });
  const sources = examples.map(({ inputIds, attentionMask }) =>
    attentionMask === undefined ? { inputIds } : { inputIds, attentionMask },
  );
  const written = examples.map(({ labels }, b) => writtenOf(labels, b));
  const offsets = new BigInt64Array(written.length + 1);
  written.forEach(({ length }, b) => (offsets[b + 1] = (offsets[b] as bigint) + BigInt(length)));
  return {
    ...tokenBatch(sources, options),
    targets: {
      labels: BigInt64Array.from(written.flat(), BigInt),
      positions: BigInt64Array.from(written.flatMap((text) => text.map((_, k) => BigInt(k)))),
      offsets,
    },
  };
}

// Without the padding at the end. One row stays where nothing is asked at all: a text has a beginning.
function writtenOf(labels: ArrayLike<number>, b: number): number[] {
  check.row('tokens', { [`labels of example ${b}`]: labels });
  const text = Array.from(labels);
  const wrong = text.find((label) => label !== IGNORED_LABEL && !(Number.isSafeInteger(label) && label >= 0));
  if (text.length === 0)
    raise('ERR_INVALID_ARGUMENT', `tokens: example ${b} has no labels: there is nothing to write.`);
  if (wrong !== undefined) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `tokens: example ${b} has the label ${wrong}: labels are tokens, or ${IGNORED_LABEL} to be ignored.`,
    );
  }
  let end = text.length;
  while (end > 1 && text[end - 1] === IGNORED_LABEL) end -= 1;
  return text.slice(0, end);
}

/** Training records: one pair a record. They are checked here, before anything is drawn. */
export class Seq2SeqDataset {
  readonly #rows: Int32Array;
  readonly #longest: number;

  /** @throws ERR_INVALID_ARGUMENT for what {@link seq2seqBatch} refuses. */
  constructor(readonly examples: readonly Seq2SeqExample[]) {
    check.objects('Seq2SeqDataset', { examples });
    const alone = examples.map((example) => seq2seqBatch([example]));
    const written = alone.map(({ targets }) => targets.labels.length);
    this.#rows = Int32Array.from(alone, ({ rows }, record) => rows + (written[record] as number));
    this.#longest = alone.reduce((most, { rows }, record) => Math.max(most, rows, written[record] as number), 0);
  }

  get length(): number {
    return this.examples.length;
  }

  /**
   * Physical batches of one logical batch; rows of both sides count.
   *
   * @throws ERR_INVALID_ARGUMENT for records outside the dataset, and when any text, drawn or not, is longer than `maxLength`: texts
   *   are never cut in silence.
   */
  pack(recordIds: Int32Array, { rowBudget, maxLength = Infinity }: TokenPackOptions): Seq2SeqBatch[] {
    if (this.#longest > maxLength) {
      raise(
        'ERR_INVALID_ARGUMENT',
        `pack: the longest text has ${this.#longest} tokens, the model reads ${maxLength}. Cut the examples first.`,
      );
    }
    for (const record of recordIds) check.integer('pack', { record }, 0, this.length - 1);
    const rows = Int32Array.from(recordIds, (record) => this.#rows[record] as number);
    const groups = packRecords(recordIds, rows, { rowBudget });
    return groups.map((group, k) =>
      seq2seqBatch(
        Array.from(group, (record) => this.examples[record] as Seq2SeqExample),
        { recordIds: group, completesStep: k === groups.length - 1 },
      ),
    );
  }

  /** SHA-256 over all pairs, as hexadecimal text; computed from private data without noise, see {@link SequenceDataset}. */
  fingerprint(): string {
    const hash = createHash('sha256').update(`phantomgrad pairs 1: ${this.length} records\n`);
    for (const { inputIds, attentionMask, labels } of this.examples) {
      const mask = attentionMask === undefined ? null : Array.from(attentionMask);
      hash.update(`${JSON.stringify([Array.from(inputIds), mask, Array.from(labels)])}\n`);
    }
    return hash.digest('hex');
  }
}
