// What a fine-tuning run is going to do, decided and checked as a whole before anything is trained or written.

import { existsSync } from 'node:fs';

import * as check from '../../check';
import { raise } from '../../errors';
import type { PretrainedModel } from '../../models';
import {
  groupScales,
  poisson,
  PrivacyEngine,
  type PrivacyEngineOptions,
  type Sampler,
  signalToNoise,
} from '../../privacy';
import type { OnEvent } from '../run/events';
import { classifier } from './classifier';
import { images } from './images';
import { languageModel } from './lm';
import type { Material, Task } from './material';
import {
  CLIPS,
  COMMON_KEYS,
  type CommonOptions,
  defaultBatchSize,
  DEFAULTS,
  type FineTuneTask,
  type ResolvedCommon,
  resolveCommon,
} from './options';
import { tablesToText } from './table2text';

/** Every kind of job by its name on the command line. */
export const TASKS = { lm: languageModel, classifier, table2text: tablesToText, images } as const;

/** A task whose options and models are not told apart: what runs it hands back what it was given. */
export type AnyTask = Task;

/** @throws ERR_INVALID_ARGUMENT */
export function taskOf(name: FineTuneTask): AnyTask {
  check.oneOf('fineTune', { task: name }, Object.keys(TASKS) as FineTuneTask[]);
  return TASKS[name];
}

export interface Job {
  readonly task: AnyTask;
  readonly name: string;
  readonly options: ResolvedCommon;
  readonly material: Material;
  readonly sampler: Sampler;
  /** Logical steps, ceil(epochs N / B). */
  readonly steps: number;
  readonly model: PretrainedModel;
  /** Not attached yet. */
  readonly engine: PrivacyEngine;
}

/**
 * Reads the data, makes the model and calibrates the noise.
 *
 * @throws ERR_INVALID_ARGUMENT, ERR_DEVICE, ERR_DATA_FORMAT, ERR_VOCABULARY, ERR_MODEL_…; ERR_PRIVACY_TARGET when no noise reaches ε.
 */
export async function makeJob(task: AnyTask, options: CommonOptions): Promise<Job> {
  const name = `train ${task.name}`;
  check.onlyKnown(name, options, [...COMMON_KEYS, ...task.keys]);
  const common = resolveCommon(name, options, task.defaults);
  checkThere(common);
  const prepared = await task.prepare(options, common);
  const material = common.quick ? ofTheFirst(prepared) : prepared;
  const records = material.train.length;
  const { epsilon, delta, epochs, recoverySteps, clip, maxGradNorm, memory } = common;
  const sampler = poisson({ batchSize: common.batchSize ?? defaultBatchSize(records) });
  const steps = sampler.steps(records, epochs);
  const model = await material.make();
  try {
    model.to(common.device);
    const engine = new PrivacyEngine(model, {
      ...{ records, epochs, recoverySteps, sampler, clip: CLIPS[clip]({ maxGradNorm }) },
      target: delta === undefined ? { epsilon } : { epsilon, delta },
      ...scalesBesideWords(name, model, common.groupScale),
      performance: { memoryBudget: memory * 2 ** 20 },
    });
    return { task, name, options: common, material, sampler, steps, model, engine };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** One scale for all trained weights but the word table, tied or not. */
function scalesBesideWords(name: string, model: PretrainedModel, scale: number): Pick<PrivacyEngineOptions, 'scales'> {
  if (scale === 1) return {};
  const table = model.wordTable;
  const trained = [...model.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad);
  const path = trained.find(([, parameter]) => parameter === table)?.[0];
  if (path === undefined) {
    const why = table === null ? 'this model reads no words' : 'the word table is frozen here';
    raise(
      'ERR_INVALID_ARGUMENT',
      `${name}: groupScale makes room for the gradient of the word table, and ${why}. Leave it out.`,
    );
  }
  const others = trained.flatMap(([other]) => (other === path ? [] : [apartFrom(path, other)]));
  return { scales: groupScales([{ prefixes: [...new Set(others)], scale }]) };
}

/** The shortest prefix of the dotted path `other` that does not take `path` as well: a statement names a few modules, not every weight. */
function apartFrom(path: string, other: string): string {
  const [names, others] = [path.split('.'), other.split('.')];
  return others.slice(0, others.findIndex((name, at) => name !== names[at]) + 1).join('.');
}

// Counting up to a number makes room for the next record where one leaves.
function ofTheFirst(material: Material): Material {
  const { unit, notCovered } = material;
  const first = `the first ${DEFAULTS.quick.records.toLocaleString('en-US')} ${unit.many}`;
  const moved = `which records are ${first} of the data: epsilon is about one of these, with no other moving up in its place`;
  return { ...material, notCovered: [...notCovered, moved] };
}

function checkThere({ data, test }: ResolvedCommon): void {
  const missing = [data, test].find((path) => path !== undefined && !existsSync(path));
  if (missing === undefined) return;
  raise(
    'ERR_DATA_FORMAT',
    `${missing}: there is no file or folder of that name. Data are yours to bring; docs/fine-tuning.md says in which form.`,
  );
}

/** Says what was found, what is going to happen, and what to be careful about. */
export function announce({ options, material, sampler, steps, model, engine }: Job, tell: OnEvent): void {
  const { train, exam, unit } = material;
  const { noiseMultiplier, delta } = engine.plan;
  tell({ kind: 'records', unit: unit.many, train: train.length, heldOut: exam.records });
  if (delta >= 1 / train.length) {
    const message = `delta ${delta} is not below 1 / ${train.length} ${unit.many}: it would allow publishing one of them.`;
    tell({ kind: 'warning', message });
  }
  const parameters = trained(model);
  const ratio = signalToNoise(engine.plan, parameters).run;
  const privacy = { noiseMultiplier, delta, epsilon: options.epsilon, signalToNoise: ratio };
  const { epochs, learningRate } = options;
  const { batchSize } = sampler;
  tell({ kind: 'plan', steps, epochs, batchSize, unit: unit.many, parameters, learningRate, privacy });
}

/** Number of trained weights. */
export function trained(model: PretrainedModel): number {
  return model.trainableParameters().reduce((sum, { numel }) => sum + numel, 0);
}
