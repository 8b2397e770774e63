// A whole run of the private recommender: training, run folder, comparison.

import { join } from 'node:path';

import { native } from '../../native';
import { type Checkpoint, PlainEngine, type PrivacySpent, privacyStatement } from '../../privacy';
import { MetricsLog } from '../../report/metrics-log';
import { baselines, measure, pointLine, type Row, rowLine } from './compare';
import { loadHistories } from './data';
import type { OnEvent, Role } from '../run/events';
import { fit, type FitOptions } from '../run/fit';
import { clearUnbegun, makeRunFolder, refuseOccupied, RUN_FILES } from '../run/folder';
import { given, keepIn, type Keeping, type Pace } from '../run/keeping';
import { writeReport } from '../run/report';
import { Reporter } from '../run/reporter';
import { announce, describe, type Job, makeJob } from './job';
import { newModel } from './model';
import { openCheckpoint } from './keeping';
import { type RecommenderOptions, resolveOptions, TASK } from './options';
import { writeRun } from './run-folder';

const UNIT = "one user's whole history";

export interface RunControl {
  /**
   * Folder for weights, configuration, statement and metrics; must not hold anything. While the run lasts it holds a checkpoint, too,
   * which an interrupted run leaves there. Default: nothing is written.
   */
  readonly out?: string;
  /**
   * `true`: go on with the run in `out`, with its options; what is given beside them must be the same. `'auto'`: go on if it holds a
   * run that is not finished, else begin one. Default false.
   */
  readonly resume?: boolean | 'auto';
  /** Steps between two saved states. Default: a twentieth of the planned ones. */
  readonly checkpointEvery?: number;
  /** Epochs between two measurements of the private model's accuracy while it trains; by default it is measured at the end only. No ε covers it. */
  readonly evaluateEvery?: number;
  readonly onEvent?: OnEvent;
  /** Ends the run after the step at hand; what was trained so far is saved with what it cost. */
  readonly signal?: AbortSignal;
}

export interface RecommenderReport {
  readonly privacy: PrivacySpent;
  /** Accuracy on the held-out items, the private model first. Empty after an interruption. */
  readonly rows: readonly Row[];
  /** Of the private training. */
  readonly secondsPerEpoch: number;
  /** Largest resident memory of the process so far, in MiB. */
  readonly peakRssMb: number;
  /** Whether `signal` ended private training before the planned steps were done. */
  readonly interrupted: boolean;
  readonly out: string | null;
}

/**
 * Trains a private sequential recommender and compares it with baselines. Nothing is written before options, data and plan have
 * been accepted.
 *
 * @throws ERR_INVALID_ARGUMENT, ERR_DATA_FORMAT, ERR_RUN_FOLDER, ERR_PRIVACY_TARGET; ERR_LIBTORCH_NOT_FOUND, ERR_PLATFORM; ERR_NOT_FINITE when the learning rate was too high;
 *   ERR_CHECKPOINT_NOT_FOUND, _DAMAGED, _MISMATCH, _BUSY, _WRITE.
 * @example const { privacy, rows } = await trainRecommender({ data: 'ratings.dat', epsilon: 8 }, { out: 'model' });
 */
export async function trainRecommender(
  options: RecommenderOptions = {},
  { out, resume = false, checkpointEvery, evaluateEvery, onEvent = () => undefined, signal }: RunControl = {},
): Promise<RecommenderReport> {
  const pace = { checkpointEvery, evaluateEvery };
  const keeping = keepIn(TASK, out, resume, pace);
  const wanted: RecommenderOptions = { ...keeping?.stored, ...given(options) };
  const resolved = resolveOptions(wanted);
  if (out !== undefined && keeping?.going !== true) {
    if (resume === 'auto') await clearUnbegun(out);
    await refuseOccupied(out);
  }
  native(); // where LibTorch is missing, that is said before a large file is read
  const job = makeJob(resolved, await loadHistories(resolved));
  let log: MetricsLog | null = null;
  try {
    announce(job, onEvent);
    if (keeping !== null) {
      if (!keeping.going) await makeRunFolder(keeping.out);
      log = new MetricsLog(join(keeping.out, RUN_FILES.metrics), { append: keeping.going });
    }
    return await run(job, keeping, wanted, new Reporter(log, onEvent), (keeping ?? { pace }).pace, signal);
  } finally {
    log?.close();
    job.engine.close();
    job.model.dispose();
  }
}

async function run(
  job: Job,
  keeping: Keeping | null,
  wanted: RecommenderOptions,
  reporter: Reporter,
  { evaluateEvery }: Pace,
  signal?: AbortSignal,
): Promise<RecommenderReport> {
  const { options, histories, train, heldOut, model, engine } = job;
  const out = keeping?.out ?? null;
  let checkpoint: Checkpoint | null = null;
  const open = (): Checkpoint => {
    checkpoint = openCheckpoint(keeping as Keeping, job, wanted);
    if (checkpoint.resumedAt !== null) reporter.resumed(engine.steps, job.steps, engine.lostSteps);
    return checkpoint;
  };
  const evaluated = (step: number, epoch: number): void => {
    const { hit, ndcg, includingSeen } = measure('private', model, heldOut, reporter.tell);
    const excludingSeen = { hit, ndcg };
    const point = { kind: 'accuracy', role: 'private', step, epoch, excludingSeen, includingSeen } as const;
    reporter.measured(pointLine(point));
    reporter.tell(point);
  };
  const { interrupted, secondsPerEpoch } = await fit(model, engine, train, {
    ...fitOptions(job, 'private', reporter, signal),
    ...(keeping === null ? {} : { checkpoint: open }),
    ...(evaluateEvery === undefined ? {} : { evaluation: { every: evaluateEvery, run: evaluated } }),
  });
  const privacy = engine.privacySpent();
  reporter.spent(privacy);
  if (out !== null) {
    // Before any evaluation: what was paid for is safe first.
    await writeRun(out, model, describe(job), privacyStatement(engine, { unit: UNIT, notCovered: uncovered(job) }));
    reporter.tell({ kind: 'saved', folder: out });
  }
  const rows: Row[] = [];
  if (!interrupted) {
    rows.push(measure('private', model, heldOut, reporter.tell));
    const plain = options.plain ? await trainPlain(job, reporter, signal) : null;
    if (plain !== null) rows.push(plain);
    rows.push(...baselines(train, heldOut, histories.optimum, reporter.tell));
    for (const row of rows) reporter.measured(rowLine(row));
    if (out !== null) await writeReport(out, 'phantomgrad: private recommender');
    // Only now: whoever is stopped while ranking goes on there. The statement beside the weights says what the checkpoint said.
    (checkpoint as Checkpoint | null)?.remove();
  }
  const peakRssMb = process.resourceUsage().maxRSS / 1024;
  return { privacy, rows, secondsPerEpoch, peakRssMb, interrupted, out };
}

/** The same model, sampler, kernels and schedule without clipping and noise; null when interrupted. */
async function trainPlain(job: Job, reporter: Reporter, signal?: AbortSignal): Promise<Row | null> {
  const { options, train, heldOut, sampler } = job;
  const model = newModel(options, job.model.itemCount);
  if (model.usesFrequencies) model.outputBias = job.model.outputBias; // popularity is no secret of the private one
  const engine = new PlainEngine(model, { records: train.length, epochs: options.epochs, sampler });
  try {
    const { interrupted } = await fit(model, engine, train, fitOptions(job, 'plain', reporter, signal));
    return interrupted ? null : measure('plain', model, heldOut, reporter.tell);
  } finally {
    model.dispose();
  }
}

function fitOptions(
  { options, steps, learningRate }: Job,
  role: Role,
  reporter: Reporter,
  signal?: AbortSignal,
): FitOptions {
  const { epochs, weightDecay } = options;
  const stop = signal === undefined ? {} : { signal };
  return { role, steps, epochs, learningRate, weightDecay, onStep: reporter.step, ...stop };
}

// What this task does with the data beside the steps that the ledger charges.
function uncovered({ histories: { interactions, source } }: Job): string[] {
  const least = source.kind === 'file' ? (source.minItemActions ?? 1) : 1;
  return [
    ...(interactions.vocabulary === 'data' ? ['the list of items, which comes from the data'] : []),
    ...(least > 1
      ? [
          `which items are in the histories: those with fewer than ${least} actions were left out, and each person's actions count for all`,
        ]
      : []),
    'which users have enough actions to take part',
  ];
}
