// What a sampler promises: how a batch is drawn and what one step of it costs belong to one object and cannot disagree.

import * as check from '../../check';
import { raise } from '../../errors';
import type { DpEvent, Neighbours, SoundNeighbours } from '../accounting/events';
import type { RandomSource } from './csprng';

/** Public constants of the sampling, and the event that the ledger charges for it. Frozen. */
export interface Sampler {
  readonly kind: 'poisson' | 'truncatedPoisson' | 'fixedSize' | 'ballsAndBins' | 'shuffle' | 'external';
  /** Expected records a logical batch, B: the divisor of every released mean. A public constant. */
  readonly batchSize: number;
  /** The relations that its steps have sound accounting for; the first is what a plan takes when it names none. */
  readonly neighbours: SoundNeighbours;
  /**
   * Logical steps of `epochs` passes over `records` records: ceil(epochs · N / B), whole batches.
   *
   * @throws ERR_INVALID_ARGUMENT when the batch is larger than the data or `epochs` is not above 0.
   */
  steps(records: number, epochs: number): number;
  /**
   * The event of `count` steps (default 1) with noise of standard deviation `noiseMultiplier · C`.
   *
   * @param neighbours  Default: the sampler's first.
   * @throws ERR_INVALID_ARGUMENT when the batch is larger than the data, or for neighbours without sound accounting.
   */
  event(noiseMultiplier: number, records: number, count?: number, neighbours?: Neighbours): DpEvent;
}

/** A sampler that draws its batches itself. */
export interface DrawingSampler extends Sampler {
  readonly kind: Exclude<Sampler['kind'], 'external'>;
  /** The batches of one run. `kept` continues a run whose {@link Draws.state} was stored. */
  open(records: number, random: RandomSource, kept?: Int32Array): Draws;
}

/** A sampler whose batches do not depend on each other. */
export interface MemorylessSampler extends DrawingSampler {
  /**
   * Draws the records of one logical batch: distinct ids 0..records-1 in ascending order, possibly none.
   *
   * @throws ERR_INVALID_ARGUMENT when the batch is larger than the data.
   */
  draw(records: number, random: RandomSource): Int32Array;
}

/** The batches of one run, in order. */
export interface Draws {
  /**
   * The records of logical step `step`, ascending.
   *
   * @throws ERR_ENGINE_STATE for a step in the middle of a run whose assignment is not known: drawing a new one would let a record
   *   take part more often than the accounting allows.
   */
  batch(step: number): Int32Array;
  /** What a checkpoint must keep, which is as private as the data; null for samplers without memory. */
  readonly state: Int32Array | null;
}

const MOST_RECORDS = 2 ** 31 - 1; // ids are int32

/** B, a whole number above 0, of options that hold it and nothing but the `others`. @throws ERR_INVALID_ARGUMENT */
export function batchSizeOf(operation: string, options: { batchSize: number }, others: readonly string[] = []): number {
  check.onlyKnown(operation, options, ['batchSize', ...others]);
  const { batchSize } = options;
  check.integer(operation, { batchSize }, 1, MOST_RECORDS);
  return batchSize;
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

/** Batches of a pass over all records: ceil(N / B). */
export function batchesAPass(operation: string, batchSize: number, records: number): number {
  rateOf(operation, batchSize, records);
  return Math.ceil(records / batchSize);
}

/** The relation to charge for. @throws ERR_INVALID_ARGUMENT that says which relations the sampler has sound accounting for. */
export function soundNeighbours(
  operation: string,
  neighbours: Neighbours | undefined,
  sound: SoundNeighbours,
): Neighbours {
  const asked = neighbours ?? sound[0];
  if (!sound.includes(asked)) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `${operation}: no sound accounting for neighbours ${asked}; this sampler has it for ${sound.join(', ')}. Set neighbours to ` +
        'that, or take poisson, which has it for all.',
    );
  }
  return asked;
}

/** The run of a sampler without memory. */
export function memoryless(draw: MemorylessSampler['draw']): DrawingSampler['open'] {
  return (records, random) => ({ batch: () => draw(records, random), state: null });
}
