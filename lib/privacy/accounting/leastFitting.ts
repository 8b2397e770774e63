// The least noise that fits a budget, in few evaluations: secants that a bracket keeps from running away.

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

export interface FittingOptions {
  /** First guess. */
  readonly start: number;
  /** Nothing outside [low, high] is tried. */
  readonly low: number;
  readonly high: number;
  /** About the slope of `value` near the answer, below 0. Default -1. */
  readonly slope?: number;
  /** An x that fits with a value above -accept is an answer. Default 8e-5. */
  readonly accept?: number;
  /** So is one that lies within this of an x that does not fit. Default 1e-4. */
  readonly tolerance?: number;
}

export interface Fitting {
  readonly x: number;
  /** At most 0. */
  readonly value: number;
  /** About the slope there. */
  readonly slope: number;
}

interface Point {
  readonly x: number;
  readonly value: number;
}

/** Values beyond this say no more than their sign. */
const LARGEST = 5;

/** The longest steps up and down: with far too little noise an answer takes longest. */
const [UP, DOWN] = [3, 0.5];

/**
 * About the least x in [low, high] with value(x) <= 0, for a falling function that may be irregular in its last digits; undefined when
 * none was found. The x returned was itself evaluated and fits. A `value` of log(ε / target) as a function of log σ is nearly straight:
 * from a start within a few percent two or three evaluations are usual.
 */
export function leastFitting(value: (x: number) => number, options: FittingOptions): Fitting | undefined {
  const { low, high, accept = 8e-5, tolerance = 1e-4 } = options;
  let slope = Math.min(options.slope ?? -1, -0.3);
  let [x, stretch, kept] = [Math.min(Math.max(options.start, low), high), 1, 0];
  let above: Point | undefined; // the largest x that does not fit
  let below: Point | undefined; // the least that does
  let last: Point | undefined;
  for (let k = 0; k < 80; k++) {
    const found = value(x);
    const point = { x, value: Math.max(-LARGEST, Math.min(LARGEST, found)) };
    const secant = last && (point.value - last.value) / (point.x - last.x);
    // Two values that differ by less than the irregularities say nothing of the slope.
    if (secant !== undefined && Math.abs(point.value - last!.value) > 2e-4)
      slope = Math.max(-1e4, Math.min(-0.3, secant));
    const side = found <= 0;
    const wide = above && below ? below.x - above.x : Infinity;
    if (side) below = point;
    else above = point;
    if ((side && (found >= -accept || x <= low)) || (!side && x >= high)) break;
    if (above && below && below.x - above.x <= tolerance) break;
    const aim = -accept / 2;
    if (above && below) {
      kept = below.x - above.x > wide / 2 ? kept + 1 : 0;
      const near = Math.abs(above.value) < Math.abs(below.value) ? above : below;
      const straight = above.x + ((below.x - above.x) * (above.value - aim)) / (above.value - below.value);
      // The chord near the answer; else the tangent from the nearer end; halves when neither makes progress.
      const tangent = near.x - (near.value - aim) / slope;
      const inside = tangent > above.x && tangent < below.x;
      const next = kept >= 2 ? (above.x + below.x) / 2 : inside && below.x - above.x > 0.01 ? tangent : straight;
      if (kept >= 2) kept = 0;
      const margin = 0.01 * (below.x - above.x);
      x = Math.min(below.x - margin, Math.max(above.x + margin, next));
    } else {
      const step = (stretch * (aim - point.value)) / slope;
      stretch *= 1.5; // a function that bends away is caught up with
      x = Math.min(high, Math.max(low, x + Math.max(-DOWN, Math.min(UP, step))));
    }
    last = point;
  }
  return below && { x: below.x, value: below.value, slope };
}
