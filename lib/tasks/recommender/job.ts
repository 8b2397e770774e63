// What a run is going to do, decided and checked as a whole before anything is trained or written.

import type { Split } from '../../data';
import type { SequentialModel } from '../../models/sequential-model';
import { VERSION } from '../../version';
import { frequencies, normalize, poisson, PrivacyEngine, type Sampler } from '../../privacy';
import type { Histories } from './data';
import type { OnEvent } from './events';
import { newModel } from './model';
import { defaultBatchSize, defaultLearningRate, histogramNoise, type ResolvedOptions } from './options';
import type { RunDescription } from './run-folder';

export interface Job {
  readonly options: ResolvedOptions;
  readonly histories: Histories;
  readonly split: Split;
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
  const { epsilon, delta, epochs, recoverySteps } = options;
  const split = histories.interactions.split();
  const records = split.train.length;
  const sampler = poisson({
    batchSize: options.batchSize ?? defaultBatchSize(records, histories.source.kind),
  });
  const steps = sampler.steps(records, epochs);
  const learningRate = options.learningRate ?? defaultLearningRate(steps);
  const model = newModel(options, histories.interactions.itemCount);
  const target = delta === undefined ? { epsilon } : { epsilon, delta };
  const clip = normalize({ maxGradNorm: 1 });
  const histogram = frequencies.privateHistogram({ noiseMultiplier: histogramNoise(epsilon) });
  const items = options.reAttention ? { frequencies: histogram } : {};
  const engine = new PrivacyEngine(model, { records, epochs, recoverySteps, target, sampler, clip, ...items });
  return { options, histories, split, sampler, steps, learningRate, model, engine };
}

/** Says what was found, what is going to happen, and what to be careful about. */
export function announce(
  { options, histories, split, sampler, steps, learningRate, model, engine }: Job,
  tell: OnEvent,
): void {
  const { users, itemCount, vocabulary } = histories.interactions;
  const { noiseMultiplier, delta } = engine.plan;
  const made = histories.source.kind === 'synthetic';
  tell({ kind: 'data', users, items: itemCount, actions: split.train.actions, made });
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
  const privacy = { noiseMultiplier, delta, epsilon: options.epsilon };
  tell({ kind: 'plan', steps, epochs: options.epochs, batchSize, parameters, learningRate, privacy });
}

/** The part of config.json that the model does not know. */
export function describe({ options, histories, sampler, steps, learningRate }: Job): RunDescription {
  const { epochs, weightDecay } = options;
  const { vocabulary, itemIds } = histories.interactions;
  return {
    phantomgrad: VERSION,
    data: histories.source,
    training: { epochs, steps, batchSize: sampler.batchSize, learningRate, weightDecay },
    vocabulary: { source: vocabulary, items: itemIds },
  };
}
