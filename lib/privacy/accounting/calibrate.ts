// The least noise that a privacy target allows.

import * as check from '../../check';
import { PhantomgradError, raise } from '../../errors';
import { type Accountant, checkDelta } from './accountant';
import { type Composition, composition } from './composition';
import { type DpEvent, poissonGaussian } from './events';
import { estimateEpsilon, saddleEpsilon } from './estimate';
import { leastFitting } from './leastFitting';
import { pld } from './pld';

/** Noise multipliers that calibration considers. */
const LEAST_NOISE = 0.02;
const MOST_NOISE = 1e9;
const RANGE = { low: Math.log(LEAST_NOISE), high: Math.log(MOST_NOISE) };

export interface NoiseTarget {
  /** ε that must not be exceeded; above 0. */
  readonly targetEpsilon: number;
  /** δ at which ε is stated; between 0 and 1. */
  readonly targetDelta: number;
  /** Probability q with which a record takes part in a step; above 0 and at most 1. Give it with `steps`, or give `event`. */
  readonly samplingRate?: number;
  /** Number of steps. */
  readonly steps?: number;
  /** What all steps together release at a noise multiplier: for other samplers than Poisson's, and other neighbours. */
  readonly event?: (noiseMultiplier: number) => DpEvent;
  /** What will state ε. Default: `pld()`. */
  readonly accountant?: Accountant;
  /** What else is released from the same data and paid from the same budget. Default: nothing. */
  readonly events?: readonly DpEvent[];
}

const TARGET = ['targetEpsilon', 'targetDelta', 'samplingRate', 'steps', 'event', 'accountant', 'events'];

export interface CalibratedNoise {
  /** σ: the noise has standard deviation σC on the sum of contributions bounded by C. */
  readonly noiseMultiplier: number;
  /** ε of `events` and the steps together, by the same accountant: at most the target. */
  readonly epsilon: number;
}

/**
 * The smallest noise multiplier with which `steps` Poisson-sampled Gaussian steps, together with `events`, stay within
 * the target. Post-condition, checked by the very accountant that will state ε: `epsilon <= targetEpsilon`. The noise is
 * within 1e-4 relative of the smallest that the accountant accepts, and never below 0.02.
 *
 * @example calibrateNoise({ targetEpsilon: 8, targetDelta: 1e-6, samplingRate: 0.17, steps: 600 }).noiseMultiplier
 * @throws ERR_PRIVACY_TARGET when the other events alone use up the target; the message says what is possible.
 * @throws ERR_INVALID_ARGUMENT for values out of range.
 */
export function calibrateNoise(target: NoiseTarget): CalibratedNoise {
  check.onlyKnown('calibrateNoise', target, TARGET);
  const { targetEpsilon, targetDelta, accountant = pld(), events = [] } = target;
  check.positive('calibrateNoise', { targetEpsilon });
  checkDelta('calibrateNoise', targetDelta);
  const release = releaseOf(target);
  const fixed = accountant.epsilon(events, targetDelta);
  if (fixed >= targetEpsilon) {
    raise(
      'ERR_PRIVACY_TARGET',
      `calibrateNoise: the other releases alone cost epsilon ${fixed.toPrecision(4)} at delta ${targetDelta}, the target ` +
        `is ${targetEpsilon}. Ask for a target above ${fixed.toPrecision(4)}, or give the other releases more noise.`,
    );
  }
  const all = (sigma: number): DpEvent[] => [...events, release(sigma)];
  const epsilonAt = (sigma: number): number => accountant.epsilon(all(sigma), targetDelta);
  const found = leastNoise(epsilonAt, targetEpsilon, estimatesOf(accountant, all, targetDelta));
  if (found !== undefined) return found;
  const possible = epsilonAt(MOST_NOISE);
  return raise(
    'ERR_PRIVACY_TARGET',
    `calibrateNoise: no noise multiplier up to ${MOST_NOISE} gives epsilon ${targetEpsilon} at delta ${targetDelta}; ` +
      `${possible.toPrecision(4)} is possible. Ask for a larger epsilon or take fewer steps.`,
  );
}

/** Estimates of ε at a noise multiplier, the quickest first. The Rényi accountant is as quick as the better one. */
function estimatesOf(
  accountant: Accountant,
  all: (sigma: number) => readonly DpEvent[],
  delta: number,
): ((sigma: number) => number)[] {
  const options = { groupSize: accountant.groupSize ?? 1, binned: true };
  const by = (estimate: (composed: Composition, logDelta: number) => number) => (sigma: number) =>
    estimate(composition(all(sigma), options), Math.log(delta));
  return accountant.name === 'rdp' ? [by(saddleEpsilon)] : [by(saddleEpsilon), by(estimateEpsilon)];
}

/** Each estimate is asked where the one before it ended, the accountant last: its word alone counts. */
function leastNoise(
  epsilonAt: (sigma: number) => number,
  target: number,
  estimates: readonly ((sigma: number) => number)[],
): CalibratedNoise | undefined {
  let [start, slope] = [0, -1];
  for (const estimate of estimates) {
    const guess = leastFitting((x) => Math.log(estimated(estimate, Math.exp(x)) / target), { ...RANGE, start, slope });
    if (guess !== undefined) [start, slope] = [guess.x, guess.slope];
  }
  const known = new Map<number, CalibratedNoise>();
  const found = leastFitting(
    (x) => {
      const noiseMultiplier = Math.exp(x);
      const epsilon = epsilonAt(noiseMultiplier);
      known.set(x, { noiseMultiplier, epsilon });
      // Rounding of the logarithm must not decide.
      return epsilon <= target ? Math.min(0, Math.log(epsilon / target)) : Math.max(1e-300, Math.log(epsilon / target));
    },
    { ...RANGE, start, slope },
  );
  return found && known.get(found.x);
}

/** An estimate, infinite where it has none: that is where there is too little noise. */
function estimated(estimate: (sigma: number) => number, sigma: number): number {
  try {
    const epsilon = estimate(sigma);
    return Number.isNaN(epsilon) ? Infinity : epsilon;
  } catch (error) {
    if (error instanceof PhantomgradError && error.code === 'ERR_ACCOUNTING') return Infinity;
    throw error;
  }
}

/** What the steps release, as a function of σ. @throws ERR_INVALID_ARGUMENT */
function releaseOf({ samplingRate, steps, event }: NoiseTarget): (noiseMultiplier: number) => DpEvent {
  if (event !== undefined) {
    if (samplingRate === undefined && steps === undefined) return event;
    return raise('ERR_INVALID_ARGUMENT', 'calibrateNoise: give either samplingRate and steps, or event.');
  }
  const given = { samplingRate: samplingRate as number, steps: steps as number };
  check.within('calibrateNoise', { samplingRate: given.samplingRate }, 0, 1);
  check.integer('calibrateNoise', { steps: given.steps }, 1);
  return (noiseMultiplier) => poissonGaussian(given.samplingRate, noiseMultiplier, given.steps);
}
