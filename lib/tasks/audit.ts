// The audit of a recommender run: its model, its data and its mechanism, trained once more by the privacy engine under audit.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as check from '../check';
import { interactions, type SequenceDataset, syntheticInteractions } from '../data';
import { raise } from '../errors';
import { SequentialTransformer } from '../models/sequential-transformer';
import type { SequentialModel } from '../models/sequential-model';
import {
  accounting,
  audit,
  type AuditedMechanism,
  type AuditOptions,
  type AuditReport,
  frequencies,
  frequencySteps,
  groupScales,
  Ledger,
  normalize,
  poisson,
  type PrivacyStatement,
  type PrivateHistogram,
} from '../privacy';
import { checkDevice } from '../tensor';
import { modelOf } from './recommender/model';
import { synthetic } from './recommender/data';
import { checkRunConfig, type RunConfig } from './recommender/run-config';
import { RUN_FILES } from './run/folder';

export interface RunAuditOptions extends AuditOptions {
  /** Folder of a run whose model and mechanism are audited. Default: a small model on made-up histories, at ε = 2. */
  readonly folder?: string;
  /** The file that the run was trained on; the folder does not keep it. */
  readonly data?: string;
  /** Steps of the run with canaries. Default: those of the run. Fewer are charged less, and prove less. */
  readonly steps?: number;
  /** Where the copies are trained: `cpu`, `cuda` or `cuda:N`. Default `cpu`. */
  readonly device?: string;
}

/** What is audited where no run is named: a minute's work. */
const BUILT_IN = { users: 1_000, items: 200, genres: 8, epsilon: 2, delta: 1e-6, rate: 0.1, steps: 60 } as const;

interface Audited {
  readonly model: () => SequentialModel;
  readonly data: SequenceDataset;
  readonly mechanism: (canaries: number) => AuditedMechanism;
  readonly findings: AuditReport['findings'];
}

/**
 * Audits the privacy engine on a run's own model and data, or on built-in ones. The run's sampling rate, noise and clipping are kept;
 * its batch grows by the share of the canaries. Its folder is only read.
 *
 * @throws ERR_RUN_FOLDER naming the file that is missing or malformed; ERR_INVALID_ARGUMENT for data that do not belong to the run;
 *   ERR_DEVICE where the device is not there.
 * @example const { passed, findings } = await auditRecommender({ folder: 'model', data: 'ratings.dat' })
 */
export async function auditRecommender(options: RunAuditOptions = {}): Promise<AuditReport> {
  const own = ['folder', 'data', 'steps', 'device', 'canaries', 'confidence', 'probes', 'engine', 'onProgress'];
  check.onlyKnown('audit', options, own);
  const { folder, data, steps, device = 'cpu', ...rest } = options;
  if (folder !== undefined) check.text('audit', { folder });
  const { canaries = 1_000 } = rest;
  if (steps !== undefined) check.integer('audit', { steps }, 1);
  checkDevice('audit', device);
  if (folder === undefined && data !== undefined) {
    raise('ERR_INVALID_ARGUMENT', 'audit: --data belongs to a run; name its folder, too.');
  }
  const audited = folder === undefined ? builtIn() : await ofRun(folder, data);
  const mechanism = audited.mechanism(canaries);
  const subject = { model: () => audited.model().to(device), data: audited.data, reset: withNoise };
  const report = audit(subject, { ...mechanism, steps: steps ?? mechanism.steps }, rest);
  const findings = [...report.findings, ...audited.findings];
  return { ...report, findings, passed: findings.every(({ holds }) => holds) };
}

function builtIn(): Audited {
  const { users, items, genres, epsilon, delta, rate, steps } = BUILT_IN;
  const histories = syntheticInteractions({ users, items, genres });
  const { train } = histories.split();
  return {
    data: train,
    model: () =>
      new SequentialTransformer({
        items,
        dim: 16,
        blocks: 1,
        maxLength: 12,
        dropout: 0.1,
        seed: 1,
        reAttention: true,
      }),
    mechanism: (canaries) => {
      const records = train.length + canaries;
      const sampler = poisson({ batchSize: Math.round(rate * records) });
      const { noiseMultiplier } = accounting.calibrateNoise({
        targetEpsilon: epsilon,
        targetDelta: delta,
        event: (sigma) => sampler.event(sigma, records, steps),
      });
      return {
        noiseMultiplier,
        clip: normalize({ maxGradNorm: 1 }),
        sampler,
        steps,
        delta,
        scales: groupScales([{ prefixes: ['positions', 'blocks'], scale: 0.2 }]),
        rowSteps: frequencySteps({ tables: ['items'] }),
        frequencies: frequencies.privateHistogram(),
      };
    },
    findings: [],
  };
}

async function ofRun(folder: string, data?: string): Promise<Audited> {
  const config = checkRunConfig(await json(folder, RUN_FILES.config), join(folder, RUN_FILES.config));
  const statement = checkStatement(await json(folder, RUN_FILES.privacy), join(folder, RUN_FILES.privacy));
  const train = await trainingData(config, data);
  if (train.length !== statement.records) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `audit: the run was trained on ${statement.records} records, the data has ${train.length}. Name the file that it was trained on.`,
    );
  }
  if (train.itemCount > config.model.items) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `audit: the model knows ${config.model.items} items, the data has ${train.itemCount}. Name the file that it was trained on.`,
    );
  }
  const { clipping, sampling, noiseMultiplier, delta, plannedSteps } = statement;
  return {
    data: train,
    model: () => modelOf(config),
    mechanism: (canaries) => ({
      noiseMultiplier,
      clip: normalize({ maxGradNorm: clipping.maxGradNorm, slack: clipping.slack }),
      sampler: poisson({ batchSize: Math.round(sampling.rate * (train.length + canaries)) }),
      steps: plannedSteps,
      delta,
      ...profileOf(statement),
    }),
    findings: [stated(statement)],
  };
}

/** Scales, row steps and the histogram of a run. Statements written before there were any do not name them. */
function profileOf({ clipping, rowSteps, frequencies: known }: PrivacyStatement): Partial<AuditedMechanism> {
  return {
    ...(clipping.scales ? { scales: groupScales(clipping.scales) } : {}),
    ...(rowSteps ? { rowSteps: frequencySteps(rowSteps) } : {}),
    ...(known?.provenance === 'privateHistogram' ? { frequencies: histogramOf(known) } : {}),
  };
}

function histogramOf({ noiseMultiplier, maxItems }: Omit<PrivateHistogram, 'provenance'>): PrivateHistogram {
  return frequencies.privateHistogram({ noiseMultiplier, maxItems });
}

// The stored number against the stored ledger: ε must be at least what an accountant makes of it, and the ledger must hold the histogram
// that the statement names.
function stated(statement: PrivacyStatement): AuditReport['findings'][number] {
  const { ledger, epsilon, exactEpsilon, delta, frequencies: known } = statement;
  const paid = Ledger.fromJSON(ledger);
  if (known?.provenance === 'privateHistogram' && !holdsHistogram(paid, known)) {
    return {
      claim: 'statement',
      holds: false,
      detail: `the statement names a histogram of items with noise multiplier ${known.noiseMultiplier}, its ledger has not been charged for one`,
    };
  }
  const bound = paid.epsilon(delta, accounting.pld());
  const least = exactEpsilon ?? bound;
  const holds = epsilon >= least * (1 - 1e-9) && epsilon >= bound * (1 - 2e-3);
  const figures = `the statement says epsilon ${epsilon.toPrecision(5)}, its ledger costs ${bound.toPrecision(5)}`;
  return {
    claim: 'statement',
    holds,
    detail: holds ? figures : `${figures}: the number is too small for what was released`,
  };
}

function holdsHistogram({ events }: Ledger, { noiseMultiplier }: Pick<PrivateHistogram, 'noiseMultiplier'>): boolean {
  return events.some((event) => event.kind === 'gaussian' && event.noiseMultiplier <= noiseMultiplier);
}

async function trainingData({ data: source, training }: RunConfig, file?: string): Promise<SequenceDataset> {
  const held = { validation: training.validation === true };
  if (source.kind === 'synthetic') {
    if (file !== undefined) {
      raise('ERR_INVALID_ARGUMENT', 'audit: this run was trained on made-up histories; leave --data out.');
    }
    return synthetic(source.users).interactions.split(held).train;
  }
  if (file === undefined) {
    return raise('ERR_INVALID_ARGUMENT', 'audit: name the data with --data FILE; the run folder does not keep it.');
  }
  const { minActions, minItemActions = 1 } = source;
  return (await interactions(file, { minActions, minItemActions })).split(held).train;
}

function checkStatement(value: Record<string, unknown>, path: string): PrivacyStatement {
  const statement = value as unknown as PrivacyStatement;
  const { clipping, sampling, noiseMultiplier, records, plannedSteps, delta, ledger } = statement;
  const whole =
    sampling?.kind === 'poisson' &&
    clipping?.kind === 'normalize' &&
    clipping.groups === null &&
    ledger?.version === 1 &&
    [sampling.rate, clipping.maxGradNorm, noiseMultiplier, records, plannedSteps, delta].every(Number.isFinite);
  if (whole) return statement;
  return raise(
    'ERR_RUN_FOLDER',
    `${path}: the audit knows private runs of Poisson sampling and normalize clipping, and this is not the statement of one.`,
  );
}

async function json(folder: string, name: string): Promise<Record<string, unknown>> {
  const path = join(folder, name);
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    return raise('ERR_RUN_FOLDER', `${path}: cannot be read: ${(error as Error).message}.`, error);
  }
  return raise('ERR_RUN_FOLDER', `${path}: is not a JSON object.`);
}

// Re-Attention corrects by the noise so far, which grows with the steps: replays want the same at every step.
function withNoise(model: object): void {
  const corrected = model as SequentialModel;
  if (!corrected.usesEffectiveError) return;
  const rows = new Float64Array(corrected.itemCount + 1).fill(1e-3);
  rows[0] = 0;
  corrected.noiseVariance = { weight: 1e-4, rows };
}
