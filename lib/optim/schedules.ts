// Learning-rate schedules: the factor on the base rate, as a function of the step.

import * as check from '../check';

/** Factor for step 0, 1, 2, …: `optimizer.lr = baseRate * schedule(step)` before each step. */
export type Schedule = (step: number) => number;

/** Factor 1 for ever. */
export function constant(): Schedule {
  return () => 1;
}

/**
 * Linear warm-up over the first `warmup` share of `steps`, then linear decay towards 0: the paper's schedule (20 % warm-up).
 *
 * No step among the planned ones has factor 0, where other libraries start at 0: a private step is paid for even when it
 * moves nothing. From `steps` on the factor is 0.
 *
 * @param options.warmup  Share of the steps in [0, 1). Default 0.2.
 * @param options.steps  Planned number of steps, at least 1.
 * @throws ERR_INVALID_ARGUMENT
 * @example linearWarmupDecay({ warmup: 0.2, steps: 10 })  // 1/2, 1, 1, 7/8, 6/8, …, 1/8
 */
export function linearWarmupDecay(options: { warmup?: number; steps: number }): Schedule {
  check.onlyKnown('linearWarmupDecay', options, ['warmup', 'steps']);
  const rise = warmupOf('linearWarmupDecay', options.warmup ?? 0.2, options.steps);
  return shaped('linearWarmupDecay', rise, options.steps, (progress) => 1 - progress);
}

/**
 * Warm-up as above (default none), then half a cosine from 1 down to `floor` (Loshchilov & Hutter 2017, eq. 5, one cycle).
 * From `steps` on the factor is `floor`.
 *
 * @throws ERR_INVALID_ARGUMENT
 */
export function cosine(options: { warmup?: number; steps: number; floor?: number }): Schedule {
  check.onlyKnown('cosine', options, ['warmup', 'steps', 'floor']);
  const { steps, floor = 0 } = options;
  check.notNegative('cosine', { floor });
  check.within('cosine', { floor }, -1, 1);
  const rise = warmupOf('cosine', options.warmup ?? 0, steps);
  return shaped('cosine', rise, steps, (progress) => floor + ((1 - floor) * (1 + Math.cos(Math.PI * progress))) / 2);
}

function warmupOf(operation: string, warmup: number, steps: number): number {
  check.integer(operation, { steps }, 1);
  check.share(operation, { warmup });
  return Math.min(Math.round(warmup * steps), steps - 1);
}

function shaped(operation: string, rise: number, steps: number, fall: (progress: number) => number): Schedule {
  return (step) => {
    check.integer(operation, { step });
    return step < rise ? (step + 1) / rise : fall(Math.min(1, (step - rise) / (steps - rise)));
  };
}
