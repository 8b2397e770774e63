// The least noise, or the most steps, that a privacy target allows.

import * as check from '../../check';
import { PhantomgradError, raise } from '../../errors';
import { type Accountant, checkDelta } from './accountant';
import { composition } from './composition';
import { type DpEvent, poissonGaussian, withCount } from './events';
import { exactLogDelta } from './exact';
import { largestFitting } from './largestFitting';
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
  let sigma = firstGuess(accountant, all, targetEpsilon, targetDelta);
  for (let push = 1e-7; sigma < MOST_NOISE; push *= 4) {
    const epsilon = epsilonAt(sigma);
    if (epsilon <= targetEpsilon) return tightened({ noiseMultiplier: sigma, epsilon }, targetEpsilon, epsilonAt);
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

/**
 * Less noise where ε lies well below the target. Near δ = q the curve of ε hardly depends on the noise in the digits that a search
 * for δ sees, and the search ends too high: safe, but wasteful.
 */
function tightened(
  found: CalibratedNoise,
  targetEpsilon: number,
  epsilonAt: (sigma: number) => number,
): CalibratedNoise {
  let best = found;
  let low = LEAST_NOISE;
  while (best.epsilon < 0.99 * targetEpsilon && best.noiseMultiplier > 1.0001 * low) {
    const noiseMultiplier = Math.sqrt(low * best.noiseMultiplier);
    const epsilon = epsilonAt(noiseMultiplier);
    if (epsilon <= targetEpsilon) best = { noiseMultiplier, epsilon };
    else low = noiseMultiplier;
  }
  return best;
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

/** σ a little below or at the answer: by the accountant itself where it is cheap, else by the exact δ at the target ε. */
function firstGuess(
  accountant: Accountant,
  all: (sigma: number) => readonly DpEvent[],
  epsilon: number,
  delta: number,
): number {
  const { others, binned } = composition(all(1), { binned: true });
  if (others.length > 0 || binned || accountant.groupSize !== undefined) {
    const margin = (sigma: number): number =>
      Math.log(epsilon) - Math.log(accountant.epsilon(all(sigma), delta) + 1e-9);
    return solveFalling(margin, 1);
  }
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

/** The σ at which `margin`, about log(ε target / ε), becomes positive, by secants of few evaluations; 1e-5 relative. */
function solveFalling(margin: (sigma: number) => number, start: number): number {
  let [low, high] = [Math.log(LEAST_NOISE), Math.log(MOST_NOISE)];
  let x = Math.log(start);
  let slope = 1; // ε falls about like 1/σ
  let last: readonly [number, number] | undefined;
  for (let k = 0; k < 40; k++) {
    let value: number;
    try {
      value = margin(Math.exp(x));
    } catch (error) {
      if (!(error instanceof PhantomgradError && error.code === 'ERR_ACCOUNTING') || x > 10) throw error;
      value = -3; // too little noise for any finite ε
    }
    if (value < 0) low = x;
    else high = x;
    if (last && last[0] !== x) slope = Math.min(8, Math.max(0.3, (value - last[1]) / (x - last[0])));
    last = [x, value];
    let next = x - Math.max(-3, Math.min(3, value)) / slope;
    if (!(next > low && next < high)) next = high === Math.log(MOST_NOISE) ? x + 1 : (Math.max(low, x - 2) + high) / 2;
    if (Math.abs(next - x) <= 1e-5 || high - low <= 1e-5) return Math.exp(Math.min(Math.max(next, low), high));
    x = Math.max(next, Math.log(LEAST_NOISE));
    if (x === low && value >= 0) return LEAST_NOISE;
  }
  return Math.exp(x);
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
  const spent = (count: number): number => accountant.epsilon(all(count), targetDelta);
  const fits = (count: number): boolean => spent(count) <= targetEpsilon;
  const { others, binned } = composition(all(1), { binned: true });
  if (others.length > 0 || binned || accountant.groupSize !== undefined) {
    const margin = (count: number): number => Math.log(targetEpsilon / Math.max(spent(count), 1e-12));
    return largestFitting(margin, MOST_STEPS);
  }
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
