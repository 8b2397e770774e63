// The least noise that a privacy target allows.

import * as check from '../../check';
import { PhantomgradError, raise } from '../../errors';
import { type Accountant, checkDelta } from './accountant';
import { composition } from './composition';
import { type DpEvent, poissonGaussian } from './events';
import { estimateEpsilon } from './estimate';
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
  const estimate = estimateOf(accountant, all, targetDelta);
  let sigma = firstGuess(accountant, all, estimate, targetEpsilon, targetDelta);
  let best: CalibratedNoise | undefined;
  for (let round = 0; round < 4 && estimate !== undefined; round++) {
    const epsilon = epsilonAt(sigma);
    if (epsilon <= targetEpsilon) best = smaller(best, { noiseMultiplier: sigma, epsilon });
    if (epsilon <= targetEpsilon && epsilon >= targetEpsilon * (1 - 8e-5)) break;
    // Newton's step for log ε over log σ, a little short of the target so that the next one fits.
    const slope = Math.log(estimate(0.99 * sigma) / estimate(1.01 * sigma)) / Math.log(1.01 / 0.99);
    const next = sigma * (epsilon / (targetEpsilon * (1 - 5e-6))) ** (1 / slope);
    if (!(slope >= 0.5 && next >= LEAST_NOISE && Math.abs(Math.log(next / sigma)) < 0.1)) break;
    if (best !== undefined && !(next < best.noiseMultiplier)) break;
    sigma = next;
  }
  if (best !== undefined) return tightened(best, targetEpsilon, epsilonAt);
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

function smaller(one: CalibratedNoise | undefined, other: CalibratedNoise): CalibratedNoise {
  return one !== undefined && one.noiseMultiplier <= other.noiseMultiplier ? one : other;
}

/** A quick estimate of ε at a noise multiplier, where there is one. */
function estimateOf(
  accountant: Accountant,
  all: (sigma: number) => readonly DpEvent[],
  delta: number,
): ((sigma: number) => number) | undefined {
  const { others, binned } = composition(all(1), { binned: true });
  if (others.length > 0 || binned || accountant.groupSize !== undefined || accountant.name === 'rdp') return undefined;
  return (sigma) => estimateEpsilon(composition(all(sigma)), Math.log(delta));
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

/** σ near the answer: by the accountant itself where nothing quicker is known, else by an estimate of the exact ε. */
function firstGuess(
  accountant: Accountant,
  all: (sigma: number) => readonly DpEvent[],
  estimate: ((sigma: number) => number) | undefined,
  epsilon: number,
  delta: number,
): number {
  if (accountant.name === 'rdp') {
    const renyi = rdp();
    const renyiMargin = (sigma: number): number => Math.log(delta) - Math.log(renyi.delta(all(sigma), epsilon));
    if (renyiMargin(LEAST_NOISE) >= 0) return LEAST_NOISE;
    // Its own ε once more: a choice of orders may differ from the default.
    return solve((sigma) => epsilon - accountant.epsilon(all(sigma), delta), solve(renyiMargin, 1, 1e-3), 1e-7);
  }
  const quick = estimate ?? ((sigma: number): number => accountant.epsilon(all(sigma), delta));
  return solveFalling((sigma) => Math.log(epsilon) - Math.log(quick(sigma) + 1e-9), 1);
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
