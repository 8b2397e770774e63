// The audit of a mechanism: replays against references, one run with canaries, and a report that says which claims hold.

import * as check from '../../check';
import { raise } from '../../errors';
import type { PhysicalBatch } from '../batch-stream';
import { isAdaptive } from '../clip';
import { auditContributions } from './contributions';
import { digits, type Finding } from './finding';
import { auditHistogram } from './histogram';
import { auditNoise } from './noise';
import type { Guesses } from './one-run';
import { auditRun } from './run';
import { type AuditedMechanism, type AuditSubject, type MakeEngine, newEngine } from './subject';

export interface AuditOptions {
  /** Records made for the audit, of which about half take part. At least 1,000. Default 1,000. */
  readonly canaries?: number;
  /** Of the lower bound. Default 0.95. */
  readonly confidence?: number;
  /** Records whose contribution is compared with autograd. Default 32. */
  readonly probes?: number;
  /** Audits an engine of your own. Default: {@link PrivacyEngine}. */
  readonly engine?: MakeEngine;
  readonly onProgress?: (what: string) => void;
}

export interface AuditReport {
  /** Whether every claim holds. */
  readonly passed: boolean;
  /** ε that the engine claims for the run of the audit. */
  readonly claimedEpsilon: number;
  /** ε that the run rules out at `confidence`: no honest claim is below it. */
  readonly epsilonLowerBound: number;
  readonly confidence: number;
  readonly delta: number;
  readonly noiseMultiplier: number;
  readonly steps: number;
  readonly guesses: Guesses;
  readonly findings: readonly Finding[];
}

const LEAST_CANARIES = 1_000;

/**
 * Looks for ways in which an engine does not do what its ledger says. Trains copies of the subject's model: nothing of the subject is
 * changed, and nothing that is reported tells more about its records than that they were trained on.
 *
 * - Contributions: what single records add to the sum, read off the parameters, is at most C and equals autograd's gradient, clipped.
 * - Noise: the rest of what is released has standard deviation σC to 1 %, on every parameter, on the public grid, fresh at every step.
 * - Scales, row steps and a private histogram of the mechanism are part of this; the histogram's noise and its charge are looked at apart.
 * - One run with canaries, without them (Steinke, Nasr & Jagielski 2023): batch sizes and inclusion fit Poisson sampling, every step is charged, and
 *   the ε that guessing the canaries proves is not above the ε that is claimed.
 *
 * An audit finds mistakes; it proves no guarantee. A claim that holds is reported wrong less than once in 100,000 audits, but for the
 * lower bound, which is above the true ε at most once in 1 / (1 - confidence).
 *
 * @throws ERR_INVALID_ARGUMENT for a mechanism without noise, a threshold that moves, or fewer than 1,000 canaries.
 * @example const { passed, findings } = privacy.audit({ model: () => new Scorer(), data: train },
 *   { noiseMultiplier: 1, clip: normalize({ maxGradNorm: 1 }), sampler: poisson({ batchSize: 64 }), steps: 100, delta: 1e-6 });
 */
export function audit<B extends PhysicalBatch>(
  subject: AuditSubject<B>,
  mechanism: AuditedMechanism,
  options: AuditOptions = {},
): AuditReport {
  check.onlyKnown('audit', options, ['canaries', 'confidence', 'probes', 'engine', 'onProgress']);
  const { canaries = LEAST_CANARIES, confidence = 0.95, probes = 32 } = options;
  const { engine = newEngine, onProgress = () => undefined } = options;
  check.integer('audit', { canaries }, LEAST_CANARIES);
  check.between('audit', { confidence }, 0, 1);
  check.integer('audit', { probes }, 1);
  check.object('audit', { subject });
  check.able('audit', { 'subject.data': subject.data }, 'pack', 'a data set');
  check.object('audit', { mechanism });
  checkMechanism(mechanism);
  const records = spread(subject.data.length, probes);
  onProgress(`Contributions of ${records.length} records`);
  const contributions = auditContributions(subject, mechanism, records, engine);
  onProgress('Noise');
  const noise = auditNoise(subject, mechanism, records, engine);
  const histogram =
    mechanism.frequencies?.provenance === 'privateHistogram'
      ? auditHistogram(mechanism, mechanism.frequencies, engine)
      : [];
  onProgress(`One run with ${canaries} canaries`);
  const run = auditRun(subject, mechanism, { canaries, confidence }, engine, (step) => {
    if (step % Math.ceil(mechanism.steps / 10) === 0) onProgress(`Step ${step} of ${mechanism.steps}`);
  });
  const findings = [...contributions, ...noise, ...histogram, ...run.findings];
  return {
    passed: findings.every(({ holds }) => holds),
    claimedEpsilon: run.spent.epsilon,
    epsilonLowerBound: run.lowerBound,
    confidence,
    delta: mechanism.delta,
    noiseMultiplier: mechanism.noiseMultiplier,
    steps: mechanism.steps,
    guesses: run.guesses,
    findings,
  };
}

/** The report as lines for people. */
export function auditText(report: AuditReport): string {
  check.object('auditText', { report });
  check.objects('auditText', { findings: report.findings });
  const { findings, passed, claimedEpsilon, epsilonLowerBound, confidence, delta } = report;
  const failed = findings.filter(({ holds }) => !holds).length;
  return [
    ...findings.map(({ claim, holds, detail }) => `${holds ? 'holds ' : 'FAILS '} ${claim.padEnd(20)} ${detail}`),
    '',
    `epsilon: claimed ${digits(claimedEpsilon)} at delta ${digits(delta)}, at least ${digits(epsilonLowerBound)} by the canaries ` +
      `(confidence ${confidence})`,
    passed ? 'All claims hold.' : `${failed} of ${findings.length} claims fail.`,
  ].join('\n');
}

function checkMechanism({ noiseMultiplier, clip, sampler, delta, steps }: AuditedMechanism): void {
  check.positive('audit', { noiseMultiplier });
  check.between('audit', { delta }, 0, 1);
  check.integer('audit', { steps }, 1);
  check.object('audit', { sampler });
  check.object('audit', { clip });
  check.oneOf('audit', { sampler: sampler.kind }, ['poisson']);
  check.positive('audit', { maxGradNorm: clip.maxGradNorm });
  if (isAdaptive(clip)) {
    raise(
      'ERR_INVALID_ARGUMENT',
      'audit: clip must have a fixed threshold, got adaptive, whose contributions have no fixed size.',
    );
  }
}

/** At most `count` of the records, evenly spread. */
function spread(records: number, count: number): Int32Array {
  const taken = Math.min(records, count);
  return Int32Array.from({ length: taken }, (_, k) => Math.floor((k * records) / taken));
}
