// The training loop: batches of an engine, one step each, a schedule, and an honest stop between steps.

import { setImmediate } from 'node:timers/promises';

import type { Parameter } from '../../nn';
import { adam, linearWarmupDecay } from '../../optim';
import {
  type Checkpoint,
  type PackableData,
  type PhysicalBatch,
  type PlainEngine,
  PrivacyEngine,
  type Sampled,
} from '../../privacy';
import { type Tensor, tidy } from '../../tensor';
import type { Role, StepEvent } from './events';

export interface FitOptions {
  readonly role: Role;
  /** Logical steps that the engine has planned, and how many passes over the data they are. */
  readonly steps: number;
  readonly epochs: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Share of the steps in which the rate rises. Default 0.2. */
  readonly warmup?: number;
  /** Share of the steps that a running average of the weights looks back on; it takes their place when training ends. Default 0: the last weights stay. */
  readonly average?: number;
  readonly onStep: (event: StepEvent) => void;
  /** Called after a step that ends another `every` epochs, and after the last one. Its time is not training time. */
  readonly evaluation?: { readonly every: number; readonly run: (step: number, epoch: number) => void };
  /** Ends training after the logical step at hand. */
  readonly signal?: AbortSignal;
  /** Called when the engine is attached: goes on where a checkpoint says, and keeps the run in it. */
  readonly checkpoint?: () => Checkpoint;
}

/** What is trained: every model with a loss for each sample. */
export interface Learner<B> {
  trainableParameters(): readonly Parameter[];
  loss(batch: Sampled<B>): Tensor;
}

export interface Fitted {
  /** Whether `signal` ended it with steps to come. */
  readonly interrupted: boolean;
  /** Of the steps that were taken here; 0 for none. */
  readonly secondsPerEpoch: number;
}

/**
 * Trains `model` to the last planned step, or to the first one after `signal`. The rate rises over the first steps, a fifth unless `warmup`
 * says otherwise, and falls to 0 over the rest (paper, section 5). The checkpoint keeps the last weights; where an average is kept, the model ends with it. The engine is detached at the end, whatever happens, and its checkpoint is closed.
 *
 * @throws ERR_NOT_FINITE when the rate was too high, and what the engine throws.
 */
export async function fit<B extends PhysicalBatch>(
  model: Learner<B>,
  engine: PrivacyEngine | PlainEngine,
  train: PackableData<B>,
  options: FitOptions,
): Promise<Fitted> {
  const { role, steps, epochs, learningRate, weightDecay, warmup, onStep, evaluation, signal, checkpoint } = options;
  const averageDecay = decayOver((options.average ?? 0) * steps);
  const schedule = linearWarmupDecay({ steps, ...(warmup === undefined ? {} : { warmup }) });
  const adamOptimizer = adam(model.trainableParameters(), {
    ...{ lr: learningRate * schedule(0), weightDecay },
    ...(averageDecay === 0 ? {} : { averageDecay }),
  });
  const optimizer = engine.attach(adamOptimizer);
  let [lossSum, samples] = [0, 0];
  let began = performance.now();
  let from = 0;
  const seconds = (): number => (performance.now() - began) / 1000;
  try {
    const kept = checkpoint?.();
    from = engine.steps;
    optimizer.lr = learningRate * schedule(from);
    began = performance.now();
    for (const batch of engine.batches<B>(train)) {
      tidy(() => {
        const loss = model.loss(batch);
        lossSum += loss.sum().item();
        samples += batch.samples;
        optimizer.step({ loss });
      });
      if (!batch.completesStep) continue;
      const step = engine.steps;
      onStep({
        kind: 'step',
        role,
        step,
        steps,
        epoch: (step * epochs) / steps,
        learningRate: optimizer.lr,
        loss: lossSum / samples,
        samples,
        skipped: engine instanceof PrivacyEngine ? (engine.trainingStats()?.notFinite ?? 0) : 0,
        seconds: seconds(),
      });
      if (evaluation !== undefined && evaluationIsDue(step, steps, epochs / evaluation.every)) {
        const paused = performance.now();
        evaluation.run(step, (step * epochs) / steps);
        began += performance.now() - paused;
      }
      [lossSum, samples] = [0, 0];
      optimizer.lr = learningRate * schedule(step);
      // Signals are only delivered between two turns of the event loop.
      await setImmediate();
      if (signal?.aborted === true) break;
    }
    kept?.close();
    if (averageDecay !== 0 && engine.steps > 0) adamOptimizer.adoptAverage();
  } finally {
    engine.detach();
    adamOptimizer.dispose();
  }
  const epochsDone = ((engine.steps - from) * epochs) / steps;
  return { interrupted: engine.remainingSteps > 0, secondsPerEpoch: epochsDone === 0 ? 0 : seconds() / epochsDone };
}

/** The decay of an average that looks back on about `steps` steps; 0, the last weights alone, for one step and less. */
function decayOver(steps: number): number {
  return Math.max(0, 1 - 1 / steps);
}

// `times` in all, as evenly as whole steps allow.
function evaluationIsDue(step: number, steps: number, times: number): boolean {
  const passed = (at: number): number => Math.floor((at / steps) * times + 1e-9);
  return step === steps || passed(step) > passed(step - 1);
}
