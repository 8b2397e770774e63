// What a run is going to do, decided and checked as a whole before anything is trained or written.

import type { EvaluationSet, Interactions, SequenceDataset } from '../../data';
import type { SequentialModel } from '../../models/sequential-model';
import { VERSION } from '../../version';
import {
  frequencies,
  frequencySteps,
  groupScales,
  normalize,
  poisson,
  PrivacyEngine,
  type PrivacyEngineOptions,
  type Sampler,
  signalToNoise,
} from '../../privacy';
import type { Histories } from './data';
import type { OnEvent } from '../run/events';
import { newModel } from './model';
import {
  defaultBatchSize,
  defaultLearningRate,
  histogramNoise,
  type ResolvedOptions,
  usesFrequencies,
} from './options';
import type { RunDescription } from './run-folder';

export interface Job {
  readonly options: ResolvedOptions;
  readonly histories: Histories;
  readonly train: SequenceDataset;
  /** What is measured: the last item of each user, or the one before it (`validation`). */
  readonly heldOut: EvaluationSet;
  readonly sampler: Sampler;
  /** Logical steps, ceil(epochs N / B). */
  readonly steps: number;
  /** Highest rate of the schedule. */
  readonly learningRate: number;
  readonly model: SequentialModel;
  /** Not attached yet. */
  readonly engine: PrivacyEngine;
}

/**
 * Splits the data, builds the model and calibrates the noise.
 *
 * @throws ERR_INVALID_ARGUMENT for a batch larger than the data or an impossible model, ERR_DATA_FORMAT for histories of one item,
 *   ERR_PRIVACY_TARGET when no noise reaches ε.
 */
export function makeJob(options: ResolvedOptions, histories: Histories): Job {
  const { epsilon, delta, epochs, recoverySteps, noise } = options;
  const { train, heldOut } = split(histories.interactions, options);
  const records = train.length;
  const sampler = poisson({
    batchSize: options.batchSize ?? defaultBatchSize(records, histories.source.kind),
  });
  const steps = sampler.steps(records, epochs);
  const learningRate = options.learningRate ?? defaultLearningRate(steps);
  const model = newModel(options, histories.interactions.itemCount);
  const target = delta === undefined ? { epsilon } : { epsilon, delta };
  const clip = normalize({ maxGradNorm: 1 });
  const plan = { records, epochs, recoverySteps, target, sampler, clip, noise };
  const engine = new PrivacyEngine(model, { ...plan, ...itemsAndScales(options, model) });
  return { options, histories, train, heldOut, sampler, steps, learningRate, model, engine };
}

function split(
  interactions: Interactions,
  { validation }: Pick<ResolvedOptions, 'validation'>,
): Pick<Job, 'train' | 'heldOut'> {
  const { train, validation: before, test } = interactions.split({ validation });
  return { train, heldOut: before ?? test };
}

/** What the engine is told beside the plan: frequencies of the items, the tables that step by them, the scale of all other weights. */
function itemsAndScales(
  options: ResolvedOptions,
  model: SequentialModel,
): Pick<PrivacyEngineOptions, 'frequencies' | 'rowSteps' | 'scales'> {
  const { epsilon, rowStep, groupScale } = options;
  const parts = new Set([...model.namedParameters()].map(([name]) => name.split('.')[0] as string));
  const tables = ['items', 'head'].filter((part) => parts.delete(part));
  const noiseMultiplier = histogramNoise(epsilon);
  return {
    ...(usesFrequencies(options) ? { frequencies: frequencies.privateHistogram({ noiseMultiplier }) } : {}),
    ...(rowStep ? { rowSteps: frequencySteps({ tables }) } : {}),
    ...(groupScale === 1 ? {} : { scales: groupScales([{ prefixes: [...parts], scale: groupScale }]) }),
  };
}

/** Says what was found, what is going to happen, and what to be careful about. */
export function announce(
  { options, histories, train, sampler, steps, learningRate, model, engine }: Job,
  tell: OnEvent,
): void {
  const { users, itemCount, vocabulary } = histories.interactions;
  const { noiseMultiplier, delta } = engine.plan;
  const made = histories.source.kind === 'synthetic';
  tell({ kind: 'data', users, items: itemCount, actions: train.actions, made });
  if (delta >= 1 / users) {
    const message = `delta ${delta} is not below 1 / ${users} users: it would allow publishing somebody's whole history.`;
    tell({ kind: 'warning', message });
  }
  if (vocabulary === 'data') {
    const message =
      'the list of items is taken from the data, which epsilon does not cover; a public list does (--catalogue).';
    tell({ kind: 'warning', message });
  }
  const parameters = model.parameters().reduce((sum, { numel }) => sum + numel, 0);
  const { batchSize } = sampler;
  const ratio = signalToNoise(engine.plan, parameters).run;
  const privacy = { noiseMultiplier, delta, epsilon: options.epsilon, signalToNoise: ratio };
  tell({ kind: 'plan', steps, epochs: options.epochs, batchSize, parameters, learningRate, privacy });
}

/** The part of config.json that the model does not know. */
export function describe({ options, histories, sampler, steps, learningRate }: Job): RunDescription {
  const { epochs, weightDecay, groupScale, rowStep, validation } = options;
  const held = validation ? { validation } : {};
  const { vocabulary, itemIds } = histories.interactions;
  return {
    phantomgrad: VERSION,
    data: histories.source,
    training: { epochs, steps, batchSize: sampler.batchSize, learningRate, weightDecay, groupScale, rowStep, ...held },
    vocabulary: { source: vocabulary, items: itemIds },
  };
}
