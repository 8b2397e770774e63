// The largest batch that a privacy target allows at a given noise.

import * as check from '../../check';
import { raise } from '../../errors';
import { type Accountant, checkDelta } from './accountant';
import { type DpEvent, poissonGaussian } from './events';
import { largestFitting } from './largestFitting';
import { pld } from './pld';

export interface BatchSizeTarget {
  /** ε that must not be exceeded; above 0. */
  readonly targetEpsilon: number;
  /** δ at which ε is stated; between 0 and 1. */
  readonly targetDelta: number;
  /** N, number of records. */
  readonly records: number;
  readonly noiseMultiplier: number;
  /** Passes over the data, ceil(epochs · N / B) steps. Give this or `steps`. */
  readonly epochs?: number;
  readonly steps?: number;
  /** What `steps` steps release at a batch size. Default: Poisson sampling at rate B / N. */
  readonly event?: (batchSize: number, steps: number) => DpEvent;
  /** What else is released from the same data. Default: nothing. */
  readonly events?: readonly DpEvent[];
  /** What states ε. Default: `pld()`. */
  readonly accountant?: Accountant;
}

const TARGET = [
  ...['targetEpsilon', 'targetDelta', 'records', 'noiseMultiplier', 'epochs', 'steps', 'event', 'events', 'accountant'],
];

export interface CalibratedBatchSize {
  /** B, at most N. */
  readonly batchSize: number;
  readonly steps: number;
  /** At most the target. */
  readonly epsilon: number;
}

/**
 * The largest expected batch size (to 1e-4 relative) with which ε stays within the target: with larger batches the same noise hides
 * less. Post-condition, checked by the accountant that states it: `epsilon <= targetEpsilon`.
 *
 * @throws ERR_PRIVACY_TARGET when not even batches of one record fit; the message says what they cost.
 * @throws ERR_INVALID_ARGUMENT for values out of range, and when both or none of `epochs` and `steps` are given.
 */
export function calibrateBatchSize(target: BatchSizeTarget): CalibratedBatchSize {
  check.onlyKnown('calibrateBatchSize', target, TARGET);
  const {
    targetEpsilon,
    targetDelta,
    records,
    noiseMultiplier,
    epochs,
    steps,
    events = [],
    accountant = pld(),
  } = target;
  check.positive('calibrateBatchSize', { targetEpsilon });
  checkDelta('calibrateBatchSize', targetDelta);
  check.integer('calibrateBatchSize', { records }, 1);
  check.positive('calibrateBatchSize', { noiseMultiplier });
  if ((epochs === undefined) === (steps === undefined)) {
    raise('ERR_INVALID_ARGUMENT', 'calibrateBatchSize: give either epochs or steps.');
  }
  if (epochs !== undefined) check.positive('calibrateBatchSize', { epochs });
  if (steps !== undefined) check.integer('calibrateBatchSize', { steps }, 1);
  const event = target.event ?? ((batchSize, count) => poissonGaussian(batchSize / records, noiseMultiplier, count));
  const stepsOf = (batchSize: number): number => steps ?? Math.ceil(((epochs as number) * records) / batchSize);
  const spent = new Map<number, number>();
  const epsilonAt = (batchSize: number): number => {
    const known = spent.get(batchSize);
    if (known !== undefined) return known;
    const epsilon = accountant.epsilon([...events, event(batchSize, stepsOf(batchSize))], targetDelta);
    spent.set(batchSize, epsilon);
    return epsilon;
  };
  const batchSize = largestFitting((n) => Math.log(targetEpsilon / Math.max(epsilonAt(n), 1e-12)), records);
  if (batchSize === 0) {
    const least = epsilonAt(1).toPrecision(4);
    raise(
      'ERR_PRIVACY_TARGET',
      `calibrateBatchSize: batches of one record cost epsilon ${least} at delta ${targetDelta}, the target is ${targetEpsilon}. Take ` +
        'more noise or fewer steps.',
    );
  }
  return { batchSize, steps: stepsOf(batchSize), epsilon: epsilonAt(batchSize) };
}
