// Examples as they are given, choices included, as records that a sampler draws.

import { createHash } from 'node:crypto';

import * as check from '../../check';
import { raise } from '../../errors';
import { packRecords } from '../pack';
import type { TokenPackOptions } from './token-batch';
import {
  type ChoiceExample,
  checkAlike,
  longestOf,
  rowsOf,
  type TokenBatch,
  tokenBatch,
  type TokenExample,
} from './tokens';

/** Training records: one example a record, with as many choices as it has. They are checked here, before anything is drawn. */
export class ExampleDataset {
  readonly #rows: Int32Array;
  readonly #longest: number;

  /**
   * @throws ERR_INVALID_ARGUMENT for what {@link tokenBatch} refuses.
   * @example engine.batches(new data.ExampleDataset(texts.map((inputIds) => ({ inputIds, labels: inputIds }))))
   */
  constructor(readonly examples: readonly (TokenExample | ChoiceExample)[]) {
    check.objects('ExampleDataset', { examples });
    for (const example of examples) tokenBatch([example]);
    checkAlike(examples);
    this.#rows = Int32Array.from(examples, rowsOf);
    this.#longest = examples.reduce((most, example) => Math.max(most, longestOf(example)), 0);
  }

  get length(): number {
    return this.examples.length;
  }

  /**
   * Physical batches of one logical batch.
   *
   * @throws ERR_INVALID_ARGUMENT for records outside the dataset, and when any example, drawn or not, is longer than `maxLength`:
   *   texts are never cut in silence.
   */
  pack(recordIds: Int32Array, { rowBudget, maxLength = Infinity }: TokenPackOptions): TokenBatch[] {
    if (this.#longest > maxLength) {
      raise(
        'ERR_INVALID_ARGUMENT',
        `pack: the longest example has ${this.#longest} tokens, the model reads ${maxLength}. Cut the examples first.`,
      );
    }
    for (const record of recordIds) check.integer('pack', { record }, 0, this.length - 1);
    const rows = Int32Array.from(recordIds, (record) => this.#rows[record] as number);
    const groups = packRecords(recordIds, rows, { rowBudget });
    return groups.map((group, k) =>
      tokenBatch(
        Array.from(group, (record) => this.examples[record] as TokenExample),
        { recordIds: group, completesStep: k === groups.length - 1 },
      ),
    );
  }

  /** SHA-256 over all examples, as hexadecimal text; computed from private data without noise, see {@link SequenceDataset}. */
  fingerprint(): string {
    const hash = createHash('sha256').update(`phantomgrad examples 1: ${this.length} records\n`);
    const plain = (_: string, value: unknown): unknown =>
      ArrayBuffer.isView(value) ? Array.from(value as Int32Array) : value;
    for (const example of this.examples) hash.update(`${JSON.stringify(example, plain)}\n`);
    return hash.digest('hex');
  }
}
