// Adaptive integration: the 15-point Gauss-Kronrod rule on intervals that are halved until the error is small.

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/** Kronrod nodes on [0, 1], their weights, and the weights of the embedded 7-point Gauss rule (0 where it has no node). */
const RULE = [
  [0, 0.209482141084727828012999174891714, 0.417959183673469387755102040816327],
  [0.207784955007898467600689403773245, 0.204432940075298892414161999234649, 0],
  [0.405845151377397166906606412076961, 0.19035057806478540991325640242101, 0.381830050505118944950369775488975],
  [0.58608723546769113029414469305872, 0.16900472663926790282658342659855, 0],
  [0.74153118559939443986386477328079, 0.140653259715525918745189590510238, 0.27970539148927666790146777142378],
  [0.86486442335976907278971278864093, 0.10479001032225018383987632254152, 0],
  [0.949107912342758524526189684047851, 0.063092092629978553290700663189204, 0.129484966168869693270611432679082],
  [0.991455371120812639206854697526329, 0.02293532201052922496373200805897, 0],
] as const;

/** A function of one variable with two components, integrated on the same nodes. */
export type Pair = readonly [number, number];

export interface Panel {
  /** The integral of both components. */
  readonly value: Pair;
  /** The largest size of the first component at a node. */
  readonly peak: number;
  /** The integral of its size: rounding is relative to this. */
  readonly gross: number;
}

/**
 * The integral of `f` from a to b. Only the first component steers the refinement.
 *
 * @param tolerance  Absolute error allowed for the first component; shared among the parts by their number, not length.
 * @param depth  How often an interval may be halved.
 */
export function integrate(f: (x: number) => Pair, a: number, b: number, tolerance: number, depth: number): Panel {
  const half = (b - a) / 2;
  const middle = (a + b) / 2;
  let first = 0;
  let second = 0;
  let coarse = 0;
  let peak = 0;
  let gross = 0;
  for (const [node, kronrod, gauss] of RULE) {
    for (const x of node === 0 ? [middle] : [middle - half * node, middle + half * node]) {
      const value = f(x);
      first += kronrod * value[0];
      second += kronrod * value[1];
      coarse += gauss * value[0];
      peak = Math.max(peak, Math.abs(value[0]));
      gross += kronrod * Math.abs(value[0]);
    }
  }
  // The Kronrod rule is far better than its distance from the Gauss rule: the power 1.5 is QUADPACK's experience.
  const scale = peak * 2;
  const distance = Math.abs(first - coarse);
  const error = scale === 0 ? 0 : half * scale * Math.min(1, (200 * (distance / scale)) ** 1.5);
  if (error <= tolerance || depth === 0) {
    return { value: [half * first, half * second], peak, gross: half * gross };
  }
  const left = integrate(f, a, middle, tolerance / 1.5, depth - 1);
  const right = integrate(f, middle, b, tolerance / 1.5, depth - 1);
  return {
    value: [left.value[0] + right.value[0], left.value[1] + right.value[1]],
    peak: Math.max(left.peak, right.peak),
    gross: left.gross + right.gross,
  };
}
