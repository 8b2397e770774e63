// A whole fine-tuning run: training, run folder, measurement, comparison.

import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

import type { PretrainedModel } from '../../models';
import * as check from '../../check';
import { native } from '../../native';
import {
  type Checkpoint,
  type PhysicalBatch,
  PlainEngine,
  type PrivacySpent,
  type PrivacyStatement,
  privacyStatement,
  type Sampled,
} from '../../privacy';
import { MetricsLog } from '../../report/metrics-log';
import type { Tensor } from '../../tensor';
import type { OnEvent, Role } from '../run/events';
import { fit, type FitOptions, type Learner } from '../run/fit';
import { clearUnbegun, makeRunFolder, refuseOccupied, RUN_FILES } from '../run/folder';
import { given, keepIn, type Keeping, openCheckpoint } from '../run/keeping';
import { writeReport } from '../run/report';
import { Reporter } from '../run/reporter';
import type { ClassifierOptions } from './classifier';
import type { Metrics } from './exam';
import { writeModel } from './folder';
import type { ImageOptions } from './images';
import { announce, type Job, makeJob, taskOf } from './job';
import type { LanguageModelOptions } from './lm';
import type { CommonOptions, FineTuneTask } from './options';
import type { TableToTextOptions } from './table2text';

/** Options of each kind of job. */
export interface FineTuneOptions {
  readonly lm: LanguageModelOptions;
  readonly classifier: ClassifierOptions;
  readonly table2text: TableToTextOptions;
  readonly images: ImageOptions;
}

export interface FineTuneControl {
  /** Folder for the model, its statement, settings and metrics; must not hold anything. Default: nothing is written. */
  readonly out?: string;
  /** As for `trainRecommender`: go on with the run in `out`. Default false. */
  readonly resume?: boolean | 'auto';
  /** Steps between two saved states. Default: a twentieth of the planned ones. */
  readonly checkpointEvery?: number;
  readonly onEvent?: OnEvent;
  /** Ends the run after the step at hand; what was trained so far is saved with what it cost. */
  readonly signal?: AbortSignal;
}

/** What was measured of one model or yardstick: `private`, `plain`, `before` training, and what needs none. */
export interface FineTuneRow {
  readonly name: string;
  readonly metrics: Metrics;
}

export interface FineTuneReport {
  readonly task: FineTuneTask;
  readonly privacy: PrivacySpent;
  readonly statement: PrivacyStatement;
  /** The private model first. Empty after an interruption. */
  readonly rows: readonly FineTuneRow[];
  /** Of the private training. */
  readonly secondsPerEpoch: number;
  /** Largest resident memory of the process so far, in MiB. */
  readonly peakRssMb: number;
  /** Whether `signal` ended private training before the planned steps were done. */
  readonly interrupted: boolean;
  readonly out: string | null;
}

/**
 * Trains a Hugging Face model privately on a task and measures it on held-out data. Nothing is written before options, data, model and
 * plan have been accepted. The folder that it writes is one that Python's transformers loads.
 *
 * @throws ERR_INVALID_ARGUMENT, ERR_DEVICE, ERR_DATA_FORMAT, ERR_VOCABULARY, ERR_MODEL_NOT_FOUND, ERR_MODEL_CONFIG, ERR_MODEL_WEIGHTS, ERR_RUN_FOLDER,
 *   ERR_PRIVACY_TARGET; ERR_LIBTORCH_NOT_FOUND, ERR_PLATFORM; ERR_NOT_FINITE; ERR_CHECKPOINT_….
 * @example const { rows } = await fineTune('classifier', { model: 'roberta-base', data: 'glue/SST-2' }, { out: 'private-roberta' });
 */
export async function fineTune<T extends FineTuneTask>(
  task: T,
  options: FineTuneOptions[T],
  control: FineTuneControl = {},
): Promise<FineTuneReport> {
  const kind = taskOf(task);
  const name = `train ${task}`;
  check.onlyKnown(name, control, ['out', 'resume', 'checkpointEvery', 'onEvent', 'signal']);
  const { out, resume = false, checkpointEvery, onEvent = () => undefined, signal } = control;
  const keeping = keepIn(name, out, resume, { checkpointEvery });
  const said = given<CommonOptions>(options);
  const wanted = { ...(keeping?.stored as CommonOptions), ...said };
  if (out !== undefined && keeping?.going !== true) {
    if (resume === 'auto') await clearUnbegun(out);
    await refuseOccupied(out);
  }
  native(); // where LibTorch is missing, that is said before a large file is read
  const job = await makeJob(kind, wanted);
  let log: MetricsLog | null = null;
  try {
    announce(job, onEvent);
    if (keeping !== null) {
      if (!keeping.going) await makeRunFolder(keeping.out);
      log = new MetricsLog(join(keeping.out, RUN_FILES.metrics), { append: keeping.going });
    }
    return await run(job, keeping, wanted, new Reporter(log, onEvent, job.material.unit.many), signal);
  } finally {
    log?.close();
    job.engine.close();
    job.model.dispose();
  }
}

async function run(
  job: Job,
  keeping: Keeping | null,
  wanted: CommonOptions,
  reporter: Reporter,
  signal?: AbortSignal,
): Promise<FineTuneReport> {
  const { material, model, engine, task } = job;
  const out = keeping?.out ?? null;
  const rows: FineTuneRow[] = [];
  const before = material.before ? measured(job, 'before', model, reporter, true) : null;
  let checkpoint: Checkpoint | null = null;
  const open = (): Checkpoint => {
    checkpoint = keep(keeping as Keeping, job, wanted);
    if (checkpoint.resumedAt !== null) reporter.resumed(engine.steps, job.steps, engine.lostSteps);
    return checkpoint;
  };
  const { interrupted, secondsPerEpoch } = await fit(learner(model), engine, material.train, {
    ...fitOptions(job, 'private', reporter, signal),
    ...(keeping === null ? {} : { checkpoint: open }),
  });
  const privacy = engine.privacySpent();
  reporter.spent(privacy);
  const { unit, notCovered } = material;
  const statement = privacyStatement(engine, { unit: unit.one, notCovered });
  if (out !== null) {
    // Before any evaluation: what was paid for is safe first.
    await writeModel(out, job, statement);
    reporter.tell({ kind: 'saved', folder: out });
  }
  if (!interrupted) {
    rows.push(measured(job, 'private', model, reporter));
    const plain = job.options.plain ? await trainPlain(job, reporter, signal) : null;
    if (plain !== null) rows.push(plain);
    if (before !== null) rows.push(before);
    for (const [name, metrics] of Object.entries(material.baselines(reporter.tell))) rows.push({ name, metrics });
    for (const { name, metrics } of rows) reporter.measured({ event: 'held-out', of: name, ...metrics });
    if (out !== null) await writeReport(out, title(job));
    // Only now: whoever is stopped while measuring goes on there. The statement beside the weights says what the checkpoint said.
    (checkpoint as Checkpoint | null)?.remove();
  }
  const peakRssMb = process.resourceUsage().maxRSS / 1024;
  return { task: task.name, privacy, statement, rows, secondsPerEpoch, peakRssMb, interrupted, out };
}

function measured(
  { material }: Job,
  name: string,
  model: PretrainedModel,
  { tell }: Reporter,
  brief = false,
): FineTuneRow {
  return { name, metrics: material.exam.measure(model, tell, brief) };
}

/** The same model, sampler, kernels and schedule without clipping and noise; null when interrupted. */
async function trainPlain(job: Job, reporter: Reporter, signal?: AbortSignal): Promise<FineTuneRow | null> {
  const { options, material, sampler } = job;
  const model = await material.make();
  try {
    model.to(options.device);
    const engine = new PlainEngine(model, {
      ...{ records: material.train.length, epochs: options.epochs, sampler },
      performance: { memoryBudget: options.memory * 2 ** 20 },
    });
    const { interrupted } = await fit(
      learner(model),
      engine,
      material.train,
      fitOptions(job, 'plain', reporter, signal),
    );
    return interrupted ? null : measured(job, 'plain', model, reporter);
  } finally {
    model.dispose();
  }
}

// A task's model reads that task's batches; which ones, the types of the loop cannot know.
function learner(model: PretrainedModel): Learner<PhysicalBatch> {
  const loss = (batch: Sampled<PhysicalBatch>): Tensor => model.loss(batch as never);
  return { trainableParameters: () => model.trainableParameters(), loss };
}

function fitOptions({ options, steps }: Job, role: Role, reporter: Reporter, signal?: AbortSignal): FitOptions {
  const { epochs, weightDecay, warmup, learningRate, average } = options;
  const stop = signal === undefined ? {} : { signal };
  return { role, steps, epochs, learningRate, weightDecay, warmup, average, onStep: reporter.step, ...stop };
}

/** Begins or goes on. What is compared are settings, not places: whoever goes on may have moved files. */
function keep(keeping: Keeping, { name, options, material, model, engine }: Job, wanted: CommonOptions): Checkpoint {
  const {
    data: _data,
    test: _test,
    model: _model,
    config: _config,
    plain: _plain,
    memory: _memory,
    device: _device,
    ...settings
  } = options;
  const { config } = model.origin;
  return openCheckpoint(keeping, engine, {
    task: name,
    data: material.train,
    configuration: { options: settings, config, settings: material.settings },
    options: absolute(wanted),
  });
}

// Whoever goes on may stand in another folder. What is no file or folder is a name: of a model in the hub cache, of a preset, «bytes».
function absolute(options: CommonOptions & { readonly tokenizer?: string }): CommonOptions {
  const places = (['data', 'test', 'model', 'config', 'tokenizer'] as const).flatMap((key) => {
    const path = options[key];
    return path === undefined || !existsSync(path) ? [] : [[key, resolve(path)] as const];
  });
  return { ...options, ...Object.fromEntries(places) };
}

function title({ task, options }: Job): string {
  return `${task.name}: ${basename(options.model ?? options.config ?? '')}`;
}
