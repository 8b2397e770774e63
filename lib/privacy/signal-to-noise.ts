// How much of what is released can be signal at best: known before training, from public constants alone.

import * as check from '../check';
import type { DpPlan } from './plan';

export interface SignalToNoise {
  /** Of one step: B / (σ √p), the norm of B gradients that all agree over the norm of the noise on p parameters. */
  readonly step: number;
  /** Of all planned steps together: √T times that. Real gradients disagree, so training sees a fraction of it. */
  readonly run: number;
}

/**
 * The signal-to-noise ratio that a plan can reach at best. Infinity without noise.
 *
 * @param parameters  Number of trained weights, p.
 * @throws ERR_INVALID_ARGUMENT
 * @example signalToNoise(engine.plan, 150_000).run  // below 1: the noise of the whole run outweighs any gradient
 */
export function signalToNoise(plan: DpPlan, parameters: number): SignalToNoise {
  check.object('signalToNoise', { plan });
  const { gradientNoiseMultiplier, expectedBatchSize, steps } = plan;
  check.notNegative('signalToNoise', { gradientNoiseMultiplier });
  check.positive('signalToNoise', { expectedBatchSize });
  check.integer('signalToNoise', { steps });
  check.integer('signalToNoise', { parameters });
  const step = expectedBatchSize / (gradientNoiseMultiplier * Math.sqrt(parameters));
  return { step, run: Math.sqrt(steps) * step };
}

let warned = false;

/** Warns once a process of a plan that noise drowns, and says what would change that. */
export function warnOfDrowning(plan: DpPlan, parameters: number): void {
  const { step, run } = signalToNoise(plan, parameters);
  if (run >= 1 || warned) return;
  warned = true;
  const target = plan.targetEpsilon === null ? '' : ` for epsilon ${plan.targetEpsilon}`;
  process.emitWarning(
    `the noise (multiplier ${plan.gradientNoiseMultiplier.toPrecision(4)}${target}) outweighs what ${parameters} parameters can learn: ` +
      `the expected signal-to-noise ratio is at most ${step.toPrecision(2)} a step and ${run.toPrecision(2)} over all ${plan.steps}. ` +
      'More records, larger batches, fewer parameters (LoRA, a smaller table) or a larger epsilon change that; a longer run at the ' +
      'same epsilon hardly does.',
    'PhantomgradWarning',
  );
}
