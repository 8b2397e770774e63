// The privacy statement: what was promised, to whom, on which grounds, and what the promise leaves out.

import * as check from '../check';
import { exact } from './accounting/exact';
import { isAdaptive } from './clip';
import type { Frequencies } from './frequencies';
import type { LedgerRecord } from './ledger';
import type { PrivacyEngine } from './privacy-engine';
import type { ScaleSpec } from './scales';
import { type NoiseLevel, type StrictGrid } from './strict-noise';

/** Stored with the weights as privacy.json. All numbers are public. */
export interface PrivacyStatement {
  readonly version: 1;
  readonly epsilon: number;
  readonly delta: number;
  /** The value without the accountant's margin, for comparison; null where nothing finite can be said. */
  readonly exactEpsilon: number | null;
  readonly neighbours: string;
  /** What one record is: whose presence is hidden. */
  readonly unit: string;
  readonly accountant: string;
  readonly sampling: { readonly kind: string; readonly rate: number; readonly expectedBatchSize: number };
  /** What one step is charged for: everything that it releases. */
  readonly noiseMultiplier: number;
  /** How exactly the noise was added. */
  readonly noise: { readonly level: NoiseLevel; readonly grid: StrictGrid | null };
  readonly clipping: ClippingStatement;
  /** Where the frequencies of items are from, and what was released for them; null where none were used. */
  readonly frequencies: FrequencyStatement | null;
  /** Tables whose rows' updates were multiplied by p^exponent of these frequencies, after privatisation; null for none. */
  readonly rowSteps: { readonly tables: readonly string[]; readonly exponent: number } | null;
  readonly records: number;
  readonly steps: number;
  readonly plannedSteps: number;
  /** Steps that were paid for and are not in the model: lost by a crash. ε covers them. */
  readonly lostSteps: number;
  /** Further steps that the noise was planned for, should some be lost. */
  readonly recoverySteps: number;
  readonly targetEpsilon: number | null;
  readonly ledger: LedgerRecord;
  readonly notCovered: readonly string[];
  /** Set when nothing here may be relied upon. */
  readonly insecure: boolean;
  readonly text: string;
}

/** A histogram is a release of its own: one Gaussian event of the ledger. */
export type FrequencyStatement =
  | { readonly provenance: 'public' | 'uniform' }
  | { readonly provenance: 'privateHistogram'; readonly noiseMultiplier: number; readonly maxItems: number };

/** How the gradients were bounded, and what was released for it. */
export interface ClippingStatement {
  readonly kind: string;
  /** C: of the first step where the threshold moves. */
  readonly maxGradNorm: number;
  readonly slack: number;
  /** The rule's other constants, such as γ of `automatic`. */
  readonly settings: Readonly<Record<string, number>>;
  /** Thresholds C_g by group of parameters; null where all are clipped together. */
  readonly groups: { readonly kind: string; readonly maxGradNorm: Readonly<Record<string, number>> } | null;
  /** Gradients of these parameters were multiplied by `scale` before clipping, and updates divided by it; null for none. */
  readonly scales: readonly ScaleSpec[] | null;
  /** Noise of the gradient sums alone, in units of C. */
  readonly gradientNoiseMultiplier: number;
  /** The second release of every step, of a threshold that moves; null for a fixed one. */
  readonly moving: {
    /** Standard deviation of the noise on the count of samples below the threshold, each counting as ±½. */
    readonly countNoise: number;
    readonly limits: readonly [least: number, most: number];
    /** C after the last step. */
    readonly lastMaxGradNorm: number;
  } | null;
}

export interface StatementOptions {
  /** What one record is, e.g. «one user's whole history». */
  readonly unit: string;
  /** What this use of the library does with the data outside the ledger. */
  readonly notCovered?: readonly string[];
}

const ALWAYS_NOT_COVERED = [
  'the number of records and everything else that the plan takes as public',
  'the weights that training began with, if they were made from these data',
  'the choice of hyper-parameters, if it looked at these data',
  'metrics and losses that were computed from these data and shown or logged',
];
const ROUNDING = 'how the rounding of float32 partial sums (of at most 64 samples) depends on which samples share them';

/** The statement of a run so far. Runs the accountant twice. */
export function privacyStatement(engine: PrivacyEngine, options: StatementOptions): PrivacyStatement {
  check.onlyKnown('privacyStatement', options, ['unit', 'notCovered']);
  check.able('privacyStatement', { engine }, 'privacySpent', 'an engine');
  check.text('privacyStatement', { unit: options.unit });
  const { unit, notCovered = [] } = options;
  check.texts('privacyStatement', { notCovered });
  const { plan, ledger } = engine;
  const spent = engine.privacySpent();
  const insecure = ledger.insecureSeed !== undefined || !Number.isFinite(spent.epsilon);
  const statement = {
    version: 1 as const,
    epsilon: spent.epsilon,
    delta: spent.delta,
    exactEpsilon: Number.isFinite(spent.epsilon) ? exactOrNull(engine) : null,
    neighbours: plan.neighbours,
    unit,
    accountant: spent.accountant,
    sampling: {
      kind: plan.sampler.kind,
      rate: plan.sampler.kind === 'external' ? 1 : plan.expectedBatchSize / plan.records,
      expectedBatchSize: plan.expectedBatchSize,
    },
    noiseMultiplier: plan.noiseMultiplier,
    noise: { level: plan.noise, grid: engine.strictGrid },
    clipping: clipping(engine),
    frequencies: frequenciesOf(plan.frequencies),
    rowSteps: plan.rowSteps === null ? null : { tables: plan.rowSteps.tables, exponent: plan.rowSteps.exponent },
    records: plan.records,
    steps: spent.steps,
    plannedSteps: plan.steps,
    lostSteps: spent.lostSteps,
    recoverySteps: plan.recoverySteps,
    targetEpsilon: plan.targetEpsilon,
    ledger: ledger.toJSON(),
    notCovered: [...ALWAYS_NOT_COVERED, ...(plan.noise === 'strict' ? [] : [ROUNDING]), ...notCovered],
    insecure,
  };
  return { ...statement, text: sentences(statement) };
}

function clipping(engine: PrivacyEngine): ClippingStatement {
  const { clip, gradientNoiseMultiplier, countNoise, scales } = engine.plan;
  const { kind, maxGradNorm, slack, settings, grouping } = clip;
  return {
    kind,
    maxGradNorm,
    slack,
    settings,
    groups: grouping === null ? null : { kind: grouping.kind, maxGradNorm: engine.groupThresholds() ?? {} },
    scales: scales?.groups ?? null,
    gradientNoiseMultiplier,
    moving: isAdaptive(clip)
      ? { countNoise: countNoise ?? 0, limits: clip.limits, lastMaxGradNorm: engine.clip.maxGradNorm }
      : null,
  };
}

function frequenciesOf(given: Frequencies | null): FrequencyStatement | null {
  if (given === null) return null;
  const { provenance } = given;
  if (provenance !== 'privateHistogram') return { provenance };
  return { provenance, noiseMultiplier: given.noiseMultiplier, maxItems: given.maxItems };
}

function exactOrNull({ ledger, plan }: PrivacyEngine): number | null {
  try {
    return exact().epsilon(ledger.events, plan.delta);
  } catch {
    return null; // the yardstick has its limits; the bound above stands without it
  }
}

function sentences(s: Omit<PrivacyStatement, 'text'>): string {
  if (s.insecure) {
    return 'This run gives no privacy: its noise was switched off, or noise and sampling can be repeated from a seed.';
  }
  return (
    `The model is (ε = ${s.epsilon.toPrecision(4)}, δ = ${s.delta.toPrecision(3)})-differentially private for ${relation(s)} ` +
    `(accountant ${s.accountant}). ${s.steps} of ${s.plannedSteps} planned steps were taken${lost(s.lostSteps)}, ${s.sampling.kind} sampling at rate ` +
    `${s.sampling.rate.toPrecision(4)}, ${bounds(s.clipping)}, noise multiplier ${s.noiseMultiplier.toPrecision(5)}` +
    `${secondRelease(s.clipping)}${strictly(s.noise.grid)}${histogram(s.frequencies)}${samplingNote(s.sampling.kind)}. Not covered: ${s.notCovered.join('; ')}.`
  );
}

function strictly(grid: StrictGrid | null): string {
  if (grid === null) return '';
  return (
    `, strict noise: contributions in whole units of ${grid.unit.toExponential(3)}, which adds at most ` +
    `${grid.addedSensitivity.toExponential(3)} to their bound, and noise from the discrete Gaussian scaled to both`
  );
}

function histogram(frequencies: FrequencyStatement | null): string {
  if (frequencies?.provenance !== 'privateHistogram') return '';
  return (
    `; a histogram of items was released once before, with noise multiplier ${frequencies.noiseMultiplier.toPrecision(3)} on at ` +
    `most ${frequencies.maxItems} items a record`
  );
}

function lost(steps: number): string {
  if (steps === 0) return '';
  return ` (${steps} more ${steps === 1 ? 'was' : 'were'} paid for and lost when the run was broken off)`;
}

function relation({ neighbours, unit }: Omit<PrivacyStatement, 'text'>): string {
  if (neighbours === 'replace') return `replacing ${unit} by another one`;
  if (neighbours === 'zeroOut') return `leaving out the contribution of ${unit}, whose presence is known`;
  return `adding or removing ${unit}`;
}

/** What the way of sampling means for the number above. */
function samplingNote(kind: string): string {
  if (kind === 'shuffle')
    return '. Every pass over shuffled data is charged as one release of all records: shuffling earns no amplification here';
  if (kind === 'external') return '. Batches came from outside and earn no amplification';
  return '';
}

function bounds(clipping: ClippingStatement): string {
  const scaled = (clipping.scales ?? []).map(({ prefixes, scale }) => `${prefixes.join(', ')} by ${scale}`);
  return `${bound(clipping)}${scaled.length === 0 ? '' : ` after scaling those of ${scaled.join(', of ')}`}`;
}

function bound({ kind, maxGradNorm, groups, moving }: ClippingStatement): string {
  if (moving !== null) {
    return `gradients bounded by a threshold that moved from ${maxGradNorm} to ${moving.lastMaxGradNorm.toPrecision(4)} (${kind})`;
  }
  const parts =
    groups === null ? '' : `, ${Object.keys(groups.maxGradNorm).length} groups of parameters apart: ${groups.kind}`;
  return `gradients bounded by ${maxGradNorm} (${kind}${parts})`;
}

function secondRelease({ gradientNoiseMultiplier, moving }: ClippingStatement): string {
  if (moving === null) return '';
  return (
    ` for two releases a step together: the gradient sum with noise multiplier ${gradientNoiseMultiplier.toPrecision(5)}, and the ` +
    `count of samples below the threshold with noise of standard deviation ${moving.countNoise.toPrecision(4)}`
  );
}
