// DpPlan: sampler, clipping, noise and accounting event made together, so that what runs is what the ledger charges.

import * as check from '../check';
import { raise } from '../errors';
import { publicGrid } from '../optim';
import { calibrateNoise } from './accounting/calibrate';
import type { Accountant } from './accounting/accountant';
import { checkEvent, type DpEvent, NEIGHBOURS, type Neighbours } from './accounting/events';
import { pld } from './accounting/pld';
import { type Clip, isAdaptive } from './clip';
import { checkFrequencies, type Frequencies, frequencyEvent } from './frequencies';
import { checkRowSteps, type RowSteps } from './row-steps';
import type { Sampler } from './sampling';
import { checkScales, type GradientScales } from './scales';
import { type NoiseLevel, strictDistance } from './strict-noise';

export interface PlanOptions {
  /** N, number of records: a public constant. */
  readonly records: number;
  /** Passes over the data; the plan has ceil(epochs · N / B) steps. Give this or `steps`. */
  readonly epochs?: number;
  readonly steps?: number;
  /**
   * Steps beyond the planned ones that the noise also pays for, for those that a crash loses (they are spent, and have to be taken
   * again). With a target, σ is calibrated for steps + recoverySteps. Default 0: a run that lost steps ends that much earlier.
   */
  readonly recoverySteps?: number;
  /** The guarantee to be reached at the last step. Give this or `noiseMultiplier`. δ defaults to min(1e-6, N^-1.1). */
  readonly target?: { readonly epsilon: number; readonly delta?: number };
  /**
   * σ: the noise has standard deviation σC. With `adaptive` clipping this is σ_eff, of gradient and count together, and the
   * gradient gets a little more. 0 trains without privacy and says so (ε = Infinity).
   */
  readonly noiseMultiplier?: number;
  /** δ at which spending is reported when `noiseMultiplier` is given. */
  readonly delta?: number;
  readonly sampler: Sampler;
  readonly clip: Clip;
  /**
   * How two data sets that must look alike differ: by one record more or less (`addRemove`), by another record in one place
   * (`replace`, which moves a sum by up to 2C), or by a record that contributes nothing (`zeroOut`). The noise stays σC: ε changes.
   * Default: the sampler's first, which is `addRemove` where that has sound accounting.
   */
  readonly neighbours?: Neighbours;
  /** Default `pld()`. */
  readonly accountant?: Accountant;
  /** How exactly noise is added: see {@link NoiseLevel}. σ, C and ε are the same. Default `default`. */
  readonly noise?: NoiseLevel;
  /**
   * How often items occur, for Re-Attention, for a model with an output bias, and for `rowSteps`. Releasing them is charged and counts
   * towards the target.
   */
  readonly frequencies?: Frequencies;
  /** Scale-then-privatise, `groupScales([…])`: neither σ nor ε changes, only how the bound C is shared out. Default: none. */
  readonly scales?: GradientScales;
  /** Updates of a table's rows by `frequencies`, `frequencySteps({ tables })`. Default: all rows alike. */
  readonly rowSteps?: RowSteps;
}

/** The names of {@link PlanOptions}: `neighbors` would be ignored in silence, and ε be another one. */
export const PLAN_OPTIONS: readonly string[] = Object.keys({
  ...{
    records: 0,
    epochs: 0,
    steps: 0,
    recoverySteps: 0,
    target: 0,
    noiseMultiplier: 0,
    delta: 0,
    sampler: 0,
    clip: 0,
  },
  ...{ neighbours: 0, accountant: 0, noise: 0, frequencies: 0, scales: 0, rowSteps: 0 },
} satisfies Record<keyof PlanOptions, 0>);

/** One mechanism, frozen: what the engine runs and what the ledger charges. */
export interface DpPlan {
  readonly records: number;
  readonly steps: number;
  /** Further steps that may be charged, when some were lost. */
  readonly recoverySteps: number;
  readonly expectedBatchSize: number;
  /** What one step is charged for: the noise multiplier of everything that it releases. */
  readonly noiseMultiplier: number;
  /** Of the gradient alone: its noise has standard deviation gradientNoiseMultiplier · C. */
  readonly gradientNoiseMultiplier: number;
  /** σ_b of the count that moves an adaptive threshold; null where the threshold is fixed. */
  readonly countNoise: number | null;
  readonly delta: number;
  /** ε that the plan was made for, or null where σ was given. */
  readonly targetEpsilon: number | null;
  readonly noise: NoiseLevel;
  readonly sampler: Sampler;
  readonly clip: Clip;
  readonly neighbours: Neighbours;
  readonly accountant: Accountant;
  /** One logical step. Null for σ = 0, which no accountant can charge. */
  readonly event: DpEvent | null;
  /** What is known of the items; null where nothing was said. */
  readonly frequencies: Frequencies | null;
  readonly scales: GradientScales | null;
  readonly rowSteps: RowSteps | null;
}

/** min(1e-6, N^-1.1). @throws ERR_INVALID_ARGUMENT unless there is at least one record */
export function defaultDelta(records: number): number {
  check.integer('defaultDelta', { records }, 1);
  return Math.min(1e-6, records ** -1.1);
}

/**
 * Makes a plan; with a target, σ is the smallest whose own accounting stays within it.
 *
 * @param parameters  Number of trained weights: what the strict level of noise costs depends on it.
 * @throws ERR_INVALID_ARGUMENT for contradictory or impossible settings (ε ≤ 0, δ ≥ 1, batch larger than the data …).
 * @throws ERR_PRIVACY_TARGET when no noise reaches the target.
 * @throws ERR_ACCOUNTING when the accountant has no sound value for what the sampler and the frequencies release together.
 */
export function makePlan(options: PlanOptions, parameters = 0): DpPlan {
  const { records, sampler, clip, target, accountant = pld(), recoverySteps = 0 } = options;
  check.integer('PrivacyEngine', { records }, 1);
  check.integer('PrivacyEngine', { recoverySteps });
  if (target !== undefined) check.onlyKnown('PrivacyEngine target', target, ['epsilon', 'delta']);
  const neighbours = plannedNeighbours(options);
  const steps = plannedSteps(options);
  const delta = target?.delta ?? options.delta ?? defaultDelta(records);
  check.between('PrivacyEngine', { delta }, 0, 1);
  const frequencies = options.frequencies === undefined ? null : checkFrequencies(options.frequencies);
  const scales = options.scales === undefined ? null : checkScales(options.scales);
  const rowSteps = options.rowSteps === undefined ? null : checkRowSteps(options.rowSteps);
  const distance = options.noise === 'strict' ? strictDistance(parameters) : 0;
  const eventOf = (sigma: number, count: number): DpEvent =>
    checkEvent({ ...sampler.event(sigma, records, count, neighbours), distance });
  const all = (sigma: number): DpEvent => eventOf(sigma, steps + recoverySteps);
  const noiseMultiplier = plannedNoise(options, neighbours, all, delta, accountant);
  if (clip.maxGradNorm === Infinity && noiseMultiplier > 0) {
    raise('ERR_INVALID_ARGUMENT', 'PrivacyEngine: maxGradNorm must be finite when there is noise.');
  }
  const noise = plannedLevel(options, noiseMultiplier);
  const split = splitNoise(clip, noiseMultiplier, sampler.batchSize);
  checkGrids(clip, split);
  const event = noiseMultiplier === 0 ? null : eventOf(noiseMultiplier, 1);
  checkAccountable(event, frequencies, neighbours, accountant, delta);
  return Object.freeze({
    records,
    steps,
    recoverySteps,
    expectedBatchSize: sampler.batchSize,
    noiseMultiplier,
    ...split,
    delta,
    targetEpsilon: target?.epsilon ?? null,
    noise,
    sampler,
    clip,
    neighbours,
    accountant,
    event,
    frequencies,
    scales,
    rowSteps,
  });
}

/**
 * What the accountant cannot state after training must not be trained: balls and bins beside a histogram, or pairs that `exact` does
 * not know. Steps that every accountant knows are not tried.
 */
function checkAccountable(
  event: DpEvent | null,
  frequencies: Frequencies | null,
  neighbours: Neighbours,
  accountant: Accountant,
  delta: number,
): void {
  if (event === null || (['poissonGaussian', 'gaussian'].includes(event.kind) && neighbours !== 'replace')) return;
  const other = frequencies === null ? null : frequencyEvent(frequencies, neighbours);
  accountant.epsilon(other === null ? [event] : [event, other], delta);
}

/** @throws ERR_INVALID_ARGUMENT for what the strict level does not do: what it releases is gradients alone. */
function plannedLevel(
  { noise = 'default', clip, frequencies, sampler }: PlanOptions,
  noiseMultiplier: number,
): NoiseLevel {
  check.oneOf('PrivacyEngine', { noise }, ['default', 'strict']);
  if (noise === 'default') return noise;
  const refuse = (what: string): never =>
    raise('ERR_INVALID_ARGUMENT', `PrivacyEngine: strict noise is for sums of clipped gradients alone: ${what}.`);
  if (noiseMultiplier === 0) return refuse('give a noise multiplier above 0, or the default level');
  if (isAdaptive(clip)) return refuse('an adaptive threshold releases a count beside them. Take a fixed one');
  if (frequencies?.provenance === 'privateHistogram') {
    return refuse('a private histogram is a release of its own. Give frequencies.public(shares) or leave them out');
  }
  if (!('open' in sampler)) return refuse(`it takes one sample a batch, which ${sampler.kind} batches are not`);
  return noise;
}

interface NoiseSplit {
  readonly gradientNoiseMultiplier: number;
  readonly countNoise: number | null;
}

/**
 * What gradient and count get of the noise. Scaled to unit variance, a sample moves them by 1/σ and ½/σ_b, together by 1/σ_eff:
 * σ⁻² + (2σ_b)⁻² = σ_eff⁻² (Andrew et al. 2021, Theorem 1).
 */
function splitNoise(clip: Clip, noiseMultiplier: number, expectedBatchSize: number): NoiseSplit {
  if (!isAdaptive(clip)) return { gradientNoiseMultiplier: noiseMultiplier, countNoise: null };
  if (clip.grouping !== null) {
    raise('ERR_INVALID_ARGUMENT', 'PrivacyEngine: an adaptive threshold is one for all parameters; leave groups out.');
  }
  if (noiseMultiplier === 0) return { gradientNoiseMultiplier: 0, countNoise: 0 };
  const countNoise = clip.countNoise ?? expectedBatchSize / 20;
  const share = noiseMultiplier / (2 * countNoise); // of the budget, squared, that the count takes
  if (share >= 1) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `PrivacyEngine: a count with noise ${countNoise} alone costs more than noise multiplier ${noiseMultiplier} allows, which leaves ` +
        `nothing for the gradient. Give adaptive a countNoise well above ${noiseMultiplier / 2}, or plan larger batches.`,
    );
  }
  return { gradientNoiseMultiplier: noiseMultiplier / Math.sqrt((1 - share) * (1 + share)), countNoise };
}

// Noise beyond the range of the grid would be refused by the first step, after it was paid for.
function checkGrids(clip: Clip, { gradientNoiseMultiplier, countNoise }: NoiseSplit): void {
  publicGrid(countNoise ?? 0);
  if (gradientNoiseMultiplier === 0) return;
  const norms = isAdaptive(clip) ? clip.limits : [clip.maxGradNorm];
  for (const norm of norms) publicGrid(gradientNoiseMultiplier * norm);
}

/** @throws ERR_INVALID_ARGUMENT for neighbours that the sampler has no sound accounting for. */
function plannedNeighbours({ sampler, neighbours = sampler.neighbours[0] }: PlanOptions): Neighbours {
  check.oneOf('PrivacyEngine', { neighbours }, NEIGHBOURS);
  if (!sampler.neighbours.includes(neighbours)) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `PrivacyEngine: ${sampler.kind} sampling has no sound accounting for neighbours ${neighbours}, only for ` +
        `${sampler.neighbours.join(', ')}. Take one of these, or the sampler poisson.`,
    );
  }
  return neighbours;
}

function plannedSteps({ records, epochs, steps, sampler }: PlanOptions): number {
  if ((epochs === undefined) === (steps === undefined)) {
    return raise('ERR_INVALID_ARGUMENT', 'PrivacyEngine: give either epochs or steps, they fix what will be charged.');
  }
  if (steps === undefined) return sampler.steps(records, epochs as number);
  check.integer('PrivacyEngine', { steps }, 1);
  sampler.steps(records, 1); // refuses a batch larger than the data
  return steps;
}

function plannedNoise(
  options: PlanOptions,
  neighbours: Neighbours,
  event: (sigma: number) => DpEvent,
  delta: number,
  accountant: Accountant,
): number {
  const { target, noiseMultiplier } = options;
  if ((target === undefined) === (noiseMultiplier === undefined)) {
    return raise('ERR_INVALID_ARGUMENT', 'PrivacyEngine: give either target or noiseMultiplier.');
  }
  if (target !== undefined && options.delta !== undefined) {
    return raise(
      'ERR_INVALID_ARGUMENT',
      'PrivacyEngine: with a target, delta belongs into it: target: { epsilon, delta }.',
    );
  }
  if (noiseMultiplier !== undefined) {
    check.notNegative('PrivacyEngine', { noiseMultiplier });
    return noiseMultiplier;
  }
  const { epsilon } = target as { epsilon: number };
  check.positive('PrivacyEngine', { epsilon });
  const other = options.frequencies === undefined ? null : frequencyEvent(options.frequencies, neighbours);
  return calibrateNoise({
    targetEpsilon: epsilon,
    targetDelta: delta,
    event,
    accountant,
    events: other === null ? [] : [other],
  }).noiseMultiplier;
}
