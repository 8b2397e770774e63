// What a sampler promises: how a batch is drawn and what one step of it costs belong to one object and cannot disagree.

import * as check from '../../check';
import { raise } from '../../errors';
import type { DpEvent } from '../accounting/events';
import type { RandomSource } from './csprng';

/** Public constants of the sampling, and the event that the ledger charges for it. Frozen. */
export interface Sampler {
  readonly kind: 'poisson' | 'external';
  /** Expected records a logical batch, B: the divisor of every released mean. A public constant. */
  readonly batchSize: number;
  /**
   * Logical steps of `epochs` passes over `records` records: ceil(epochs · N / B).
   *
   * @throws ERR_INVALID_ARGUMENT when the batch is larger than the data or `epochs` is not above 0.
   */
  steps(records: number, epochs: number): number;
  /**
   * The event of `count` steps (default 1) with noise of standard deviation `noiseMultiplier · C`, neighbours `addRemove`.
   *
   * @throws ERR_INVALID_ARGUMENT when the batch is larger than the data.
   */
  event(noiseMultiplier: number, records: number, count?: number): DpEvent;
}

/** A sampler that draws its batches itself. */
export interface DrawingSampler extends Sampler {
  readonly kind: 'poisson';
  /**
   * Draws the records of one logical batch: distinct ids 0..records-1 in ascending order, possibly none.
   *
   * @throws ERR_INVALID_ARGUMENT when the batch is larger than the data.
   */
  draw(records: number, random: RandomSource): Int32Array;
}

const MOST_RECORDS = 2 ** 31 - 1; // ids are int32

/** B as a whole number above 0. @throws ERR_INVALID_ARGUMENT */
export function checkBatchSize(operation: string, batchSize: number): void {
  check.integer(operation, { batchSize }, 1, MOST_RECORDS);
}

/** q = B / N. @throws ERR_INVALID_ARGUMENT when the batch is larger than the data. */
export function rateOf(operation: string, batchSize: number, records: number): number {
  check.integer(operation, { records }, 1, MOST_RECORDS);
  if (batchSize > records) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `${operation}: batchSize must be at most the number of records, got ${batchSize} for ${records} records.`,
    );
  }
  return batchSize / records;
}

/** ceil(epochs · N / B). */
export function stepsOf(operation: string, batchSize: number, records: number, epochs: number): number {
  check.positive(operation, { epochs });
  rateOf(operation, batchSize, records);
  return Math.ceil((epochs * records) / batchSize);
}
