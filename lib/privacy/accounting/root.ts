// Where an increasing function crosses zero: Newton's method that a bracket keeps from running away.

/** An increasing function with its derivative: [value, slope]. */
export type Increasing = (x: number) => readonly [number, number];

export interface RootOptions {
  /** First guess. */
  readonly start: number;
  /** The root is known to be at least this. Default -Infinity. */
  readonly low?: number;
  /** The root is known to be at most this. Default Infinity. */
  readonly high?: number;
  /** Stop when a step is shorter than this. */
  readonly tolerance: number;
  /** Longest step. Default 2. */
  readonly reach?: number;
}

/**
 * A point within `tolerance` of the root, on either side of it; `low` or `high` when the function does not change its
 * sign between them. Functions here are smooth, so about six evaluations are usual and 200 the limit.
 */
export function increasingRoot(f: Increasing, options: RootOptions): number {
  let { low = -Infinity, high = Infinity } = options;
  const reach = options.reach ?? 2;
  let x = Math.min(Math.max(options.start, low), high);
  for (let k = 0; k < 200; k++) {
    const [value, slope] = f(x);
    if (value === 0) return x;
    if (value < 0) low = x;
    else high = x;
    const step = slope > 0 ? -value / slope : NaN;
    if (Math.abs(step) <= options.tolerance) return Math.min(Math.max(x + step, low), high);
    let next = x + step;
    if (!(next > low && next < high)) next = (low + high) / 2; // Newton left the bracket, or the slope is useless
    if (!(Math.abs(next - x) <= reach)) next = x - Math.sign(value) * reach;
    next = Math.min(Math.max(next, low), high);
    if (high - low <= options.tolerance) return next;
    x = next;
  }
  return x;
}
