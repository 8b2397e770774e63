// The privacy statement: what was promised, to whom, on which grounds, and what the promise leaves out.

import { exact } from './accounting/exact';
import type { LedgerRecord } from './ledger';
import type { PrivacyEngine } from './privacy-engine';

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
  readonly noiseMultiplier: number;
  readonly clipping: { readonly kind: string; readonly maxGradNorm: number; readonly slack: number };
  readonly records: number;
  readonly steps: number;
  readonly plannedSteps: number;
  readonly targetEpsilon: number | null;
  readonly ledger: LedgerRecord;
  readonly notCovered: readonly string[];
  /** Set when nothing here may be relied upon. */
  readonly insecure: boolean;
  readonly text: string;
}

export interface StatementOptions {
  /** What one record is, e.g. «one user's whole history». */
  readonly unit: string;
  /** What this use of the library does with the data outside the ledger. */
  readonly notCovered?: readonly string[];
}

const ALWAYS_NOT_COVERED = [
  'the number of records and everything else that the plan takes as public',
  'the choice of hyper-parameters, if it looked at these data',
  'metrics and losses that were computed from these data and shown or logged',
  'how the rounding of float32 partial sums (of at most 64 samples) depends on which samples share them',
];

/** The statement of a run so far. Runs the accountant twice. */
export function privacyStatement(engine: PrivacyEngine, { unit, notCovered = [] }: StatementOptions): PrivacyStatement {
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
      rate: plan.sampler.kind === 'poisson' ? plan.expectedBatchSize / plan.records : 1,
      expectedBatchSize: plan.expectedBatchSize,
    },
    noiseMultiplier: plan.noiseMultiplier,
    clipping: { kind: plan.clip.kind, maxGradNorm: plan.clip.maxGradNorm, slack: plan.clip.slack },
    records: plan.records,
    steps: spent.steps,
    plannedSteps: plan.steps,
    targetEpsilon: plan.targetEpsilon,
    ledger: ledger.toJSON(),
    notCovered: [...ALWAYS_NOT_COVERED, ...notCovered],
    insecure,
  };
  return { ...statement, text: sentences(statement) };
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
    `The model is (ε = ${s.epsilon.toPrecision(4)}, δ = ${s.delta.toPrecision(3)})-differentially private for adding or removing ${s.unit} ` +
    `(accountant ${s.accountant}). ${s.steps} of ${s.plannedSteps} planned steps were taken, ${s.sampling.kind} sampling at rate ` +
    `${s.sampling.rate.toPrecision(4)}, gradients bounded by ${s.clipping.maxGradNorm} (${s.clipping.kind}), noise multiplier ` +
    `${s.noiseMultiplier.toPrecision(5)}. Not covered: ${s.notCovered.join('; ')}.`
  );
}
