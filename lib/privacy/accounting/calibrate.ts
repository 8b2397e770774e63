// The least noise, or the most steps, that a privacy target allows.

import * as check from '../../check';
import { PhantomgradError, raise } from '../../errors';
import { type Accountant, checkDelta } from './accountant';
import { composition, type DpEvent, poissonGaussian, withCount } from './events';
import { exactLogDelta } from './exact';
import { pld } from './pld';
import { rdp } from './rdp';
import { increasingRoot } from './root';

/** Noise multipliers that calibration considers. */
const LEAST_NOISE = 0.02;
const MOST_NOISE = 1e9;

export interface NoiseTarget {
  /** ε that must not be exceeded; above 0. */
  readonly targetEpsilon: number;
  /** δ at which ε is stated; between 0 and 1. */
  readonly targetDelta: number;
  /** Probability q with which a record takes part in a step; above 0 and at most 1. */
  readonly samplingRate: number;
  /** Number of steps. */
  readonly steps: number;
  /** What will state ε. Default: `pld()`. */
  readonly accountant?: Accountant;
  /** What else is released from the same data and paid from the same budget. Default: nothing. */
  readonly events?: readonly DpEvent[];
}

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
  const { targetEpsilon, targetDelta, samplingRate, steps, accountant = pld(), events = [] } = target;
  check.positive('calibrateNoise', { targetEpsilon });
  checkDelta('calibrateNoise', targetDelta);
  check.within('calibrateNoise', { samplingRate }, 0, 1);
  check.integer('calibrateNoise', { steps }, 1);
  const fixed = accountant.epsilon(events, targetDelta);
  if (fixed >= targetEpsilon) {
    raise(
      'ERR_PRIVACY_TARGET',
      `calibrateNoise: the other releases alone cost epsilon ${fixed.toPrecision(4)} at delta ${targetDelta}, the target ` +
        `is ${targetEpsilon}. Ask for a target above ${fixed.toPrecision(4)}, or give the other releases more noise.`,
    );
  }
  const all = (sigma: number): DpEvent[] => [...events, poissonGaussian(samplingRate, sigma, steps)];
  const epsilonAt = (sigma: number): number => accountant.epsilon(all(sigma), targetDelta);
  let sigma = firstGuess(accountant, all, targetEpsilon, targetDelta);
  for (let push = 1e-7; sigma < MOST_NOISE; push *= 4) {
    const epsilon = epsilonAt(sigma);
    if (epsilon <= targetEpsilon) return { noiseMultiplier: sigma, epsilon };
    // ε falls at least in proportion to 1/σ, so this step suffices but for irregularities of the last digits.
    sigma *= (epsilon / targetEpsilon) * (1 + push);
  }
  const possible = epsilonAt(MOST_NOISE);
  return raise(
    'ERR_PRIVACY_TARGET',
    `calibrateNoise: no noise multiplier up to ${MOST_NOISE} gives epsilon ${targetEpsilon} at delta ${targetDelta}; ` +
      `${possible.toPrecision(4)} is possible. Ask for a larger epsilon or take fewer steps.`,
  );
}

/** σ a little below or at the answer: by the accountant itself where it is cheap, else by the exact δ at the target ε. */
function firstGuess(
  accountant: Accountant,
  all: (sigma: number) => readonly DpEvent[],
  epsilon: number,
  delta: number,
): number {
  const renyi = rdp();
  const renyiMargin = (sigma: number): number => Math.log(delta) - Math.log(renyi.delta(all(sigma), epsilon));
  if (renyiMargin(LEAST_NOISE) >= 0) return LEAST_NOISE;
  const upper = solve(renyiMargin, 1, 1e-3);
  if (accountant.name === 'rdp') {
    // Its own ε once more: a choice of orders may differ from the default.
    return solve((sigma) => epsilon - accountant.epsilon(all(sigma), delta), upper, 1e-7);
  }
  try {
    return solve(
      (sigma) => Math.log(delta) - exactLogDelta(composition(all(sigma)), 'remove', epsilon),
      0.95 * upper,
      1e-7,
    );
  } catch (error) {
    if (!(error instanceof PhantomgradError && error.code === 'ERR_ACCOUNTING')) throw error;
    return solve((sigma) => epsilon - accountant.epsilon(all(sigma), delta), 0.95 * upper, 1e-4);
  }
}

/** The σ at which `margin`, an increasing function of σ, becomes positive; relative accuracy `tolerance`. */
function solve(margin: (sigma: number) => number, start: number, tolerance: number): number {
  const low = Math.log(LEAST_NOISE);
  const high = Math.log(MOST_NOISE);
  let last: readonly [number, number] | undefined;
  const logSigma = increasingRoot(
    (x) => {
      const value = Math.max(-1e6, Math.min(1e6, margin(Math.exp(x))));
      const slope = last && last[0] !== x ? (value - last[1]) / (x - last[0]) : 10;
      last = [x, value];
      return [value, slope];
    },
    { start: Math.log(Math.max(start, LEAST_NOISE)), low, high, tolerance },
  );
  return Math.exp(logSigma);
}

export interface StepsTarget {
  readonly targetEpsilon: number;
  readonly targetDelta: number;
  /** The step that is to be repeated; its count is not read. */
  readonly event: DpEvent;
  /** What was released before. Default: nothing. */
  readonly events?: readonly DpEvent[];
  /** What states ε. Default: `pld()`. */
  readonly accountant?: Accountant;
}

/**
 * The largest number of repetitions of `event` that the target allows after `events`, at most 2^40; 0 when not even one.
 * Never too large: the number returned was checked by the accountant. It may be too small by what the accountant's value
 * of ε itself lies above the exact one.
 *
 * @throws ERR_INVALID_ARGUMENT for values out of range.
 */
export function affordableSteps(target: StepsTarget): number {
  const { targetEpsilon, targetDelta, event, events = [], accountant = pld() } = target;
  check.positive('affordableSteps', { targetEpsilon });
  checkDelta('affordableSteps', targetDelta);
  const all = (count: number): DpEvent[] => [...events, withCount(event, count)];
  const fits = (count: number): boolean => accountant.epsilon(all(count), targetDelta) <= targetEpsilon;
  if (!fits(1)) return 0;
  const estimate = accountant.name === 'rdp' ? fits : fitsExactly(all, targetEpsilon, targetDelta, fits);
  let low = 1;
  let high = 2;
  while (high <= MOST_STEPS && estimate(high)) [low, high] = [high, 2 * high];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (estimate(middle)) low = middle;
    else high = middle;
  }
  for (let retreat = 1e-5; low > 1 && !fits(low); retreat *= 2) low = Math.max(1, low - Math.ceil(retreat * low));
  return low;
}

const MOST_STEPS = 2 ** 40;

/** A cheap test near the accountant's: the exact δ at the target ε. */
function fitsExactly(
  all: (count: number) => readonly DpEvent[],
  epsilon: number,
  delta: number,
  otherwise: (count: number) => boolean,
): (count: number) => boolean {
  return (count) => {
    try {
      return exactLogDelta(composition(all(count)), 'remove', epsilon) <= Math.log(delta);
    } catch (error) {
      if (!(error instanceof PhantomgradError && error.code === 'ERR_ACCOUNTING')) throw error;
      return otherwise(count);
    }
  };
}
