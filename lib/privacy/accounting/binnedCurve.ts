// The likelihood ratio of balls-and-bins sampling on a grid, by FFT under a tilt: upper bounds of δ(ε) in both directions.
//
// What is bounded, and why moving masses to the grid raises it, is in ballsAndBins.ts.

import type { BinnedRun } from './composition';
import { convolve, type Term } from './convolution';
import { MASS_ERROR, RULE, sumOf } from './discretisation';
import { LOG_SQRT_2PI, logAddExp, logPhi } from './special';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/** What a curve is wanted for: where it falls to exp(logDelta), or its value at one ε. */
export type Aim = { readonly logDelta: number } | { readonly epsilon: number };

/** One value under Q and, size-biased, under P, on the grid's lower half: sums of several large ones then rarely wrap around. */
function valuesOn({ mu }: BinnedRun, size: number, h: number): Values & { readonly biased: Float64Array } {
  const values = valuesUnderQ(mu, h, size / 2);
  return { ...values, biased: values.mass.map((part, k) => part * k * h) };
}

/** What masses and the powers of a tilt may be too small by, in a product over all bins. */
function chargeOf(bins: number, size: number): number {
  return Math.exp(1e-11 + 2 * bins * (MASS_ERROR + size * 2 ** -52));
}

/** Upper bounds of δ(ε) in direction `remove`, from a grid of `size` points over sums below `window`; sharpest near the aim. */
export function removedCurve(run: BinnedRun, size: number, window: number, aim: Aim): (epsilon: number) => number {
  const { bins, mu } = run;
  const h = window / size;
  const { mass, biased, edge } = valuesOn(run, size, h);
  const tilts = tiltsOf(mass, biased, window, 1);
  const log = ({ q, p }: Tilt): number => (bins - 1) * q + p;
  const level = 'epsilon' in aim ? bins * Math.exp(aim.epsilon) : undefined;
  const tilt = leastOf(tilts, (one) => reached(log(one), one.theta, level, aim));
  const parts = sumMasses([tilted(mass, tilt, h, bins - 1), tilted(biased, tilt, h, 1)], tilt, h, size);
  const charge = chargeOf(bins, size);
  const logDropped = logAddExp(Math.log(bins - 1) + logPhi(-edge), logPhi(mu - edge));
  // Sums of kept values that reach the window's end, by Chernoff's bound; they wrap around to small ones.
  const alias = tilts.reduce((least, one) => Math.min(least, log(one) - one.theta * window), 0);
  const rest = Math.exp(logDropped) + Math.exp(alias) * charge + 1e-300;
  return (epsilon) => {
    const from = bins * Math.exp(epsilon);
    let removed = 0;
    for (let k = size - 1; k * h > from; k--) removed += parts[k]! * (1 - from / (k * h));
    return Math.min(1, removed * charge + rest);
  };
}

/** The same in direction `add`, from sums below `units` times b: those above their mean say nothing. */
export function addedCurve(run: BinnedRun, size: number, units: number, aim: Aim): (epsilon: number) => number {
  const { bins } = run;
  const window = units * bins;
  const h = window / size;
  const { mass, biased, edge } = valuesOn(run, size, h);
  const log = ({ q }: Tilt): number => bins * q;
  const level = 'epsilon' in aim ? bins * Math.exp(-aim.epsilon) : undefined;
  const tilt = leastOf(tiltsOf(mass, biased, window, -1), (one) => reached(log(one), one.theta, level, aim));
  const parts = sumMasses([tilted(mass, tilt, h, bins)], tilt, h, size);
  const charge = chargeOf(bins, size);
  const dropped = bins * Math.exp(logPhi(-edge));
  const largest = (size / 2 - 1) * h;
  return (epsilon) => {
    const floor = bins * Math.exp(-epsilon);
    let added = 0;
    let below = 0;
    for (let k = 0; k < size && k * h < floor; k++) {
      added += parts[k]! * (1 - (k * h) / floor);
      below += parts[k]!;
    }
    // The mean of a cell is right to MASS_ERROR: that moves S by as much, and (1 - e^ε S/b)_+ by e^ε times it.
    const shift = 2 * Math.exp(epsilon) * MASS_ERROR * below;
    const seen = largest >= floor ? 0 : dropped; // single values beyond the grid whose sum may still be below the floor
    return Math.min(1, added * charge + shift + seen);
  };
}

/** A tilt e^{θY} of one value: θ, negative downwards, and the logarithms of what it makes of the masses under Q and P. */
interface Tilt {
  readonly theta: number;
  readonly q: number;
  readonly p: number;
}

/** Tilts to choose from, 0 first. Powers are by recurrence: each is right to size · 2^-53. */
function tiltsOf(under: Float64Array, biased: Float64Array, window: number, sign: 1 | -1): Tilt[] {
  const h = window / (2 * under.length);
  return [0, ...Array.from({ length: 14 }, (_, k) => 2 ** k)].flatMap((factor) => {
    const theta = (sign * factor) / window;
    const ratio = Math.exp(theta * h);
    let [q, p, grown] = [0, 0, 1];
    for (let k = 0; k < under.length; k++, grown *= ratio) {
      q += under[k]! * grown;
      p += biased[k]! * grown;
    }
    const tilt = { theta, q: Math.log(q), p: Math.log(p) };
    return Number.isFinite(tilt.q + tilt.p) ? [tilt] : [];
  });
}

/** Chernoff's bound: on log δ where a level is given, else on the level (negative downwards) at which δ is reached. */
function reached(log: number, theta: number, level: number | undefined, aim: Aim): number {
  if (level !== undefined || 'epsilon' in aim) return log - theta * (level as number);
  return theta === 0 ? Infinity : (log - aim.logDelta) / Math.abs(theta);
}

function leastOf(tilts: readonly Tilt[], score: (tilt: Tilt) => number): Tilt {
  return tilts.reduce((least, tilt) => (score(tilt) < score(least) ? tilt : least));
}

/** The masses times e^{θkh}, with the factor taken out that makes them add up to 1. */
function tilted(mass: Float64Array, { theta }: Tilt, h: number, count: number): Term {
  const raised = mass.map((part, k) => part * Math.exp(theta * k * h));
  const total = sumOf(raised);
  const loss = { first: 0, log: Math.log(total), excess: 0, logInfinity: -Infinity, lossError: 0 };
  return { loss: { ...loss, mass: raised.map((part) => part / total) }, count };
}

/** Upper bounds of the masses of the sum, without the tilt again. */
function sumMasses(terms: readonly Term[], { theta }: Tilt, h: number, size: number): Float64Array {
  const log = terms.reduce((sum, { loss, count }) => sum + count * loss.log, 0);
  const { mass, error } = convolve(terms, 0, size);
  return mass.map((part, k) => (part + error) * Math.exp(log - theta * k * h));
}

interface Values {
  readonly mass: Float64Array;
  /** The z above which nothing was kept. */
  readonly edge: number;
}

/** The distribution under Q of one value, moved to the multiples of h in [0, (points - 1) h] cell by cell, means kept. */
function valuesUnderQ(m: number, h: number, points: number): Values {
  const mass = new Float64Array(points);
  const quantile = (value: number): number => Math.log(value) / m + m / 2;
  let z = quantile(h);
  const inside = Math.exp(logPhi(z));
  const first = Math.min(inside, Math.exp(logPhi(z - m) - Math.log(h)) * (1 + MASS_ERROR)); // mean of the cell over h
  mass[0]! += inside - first;
  mass[1]! += first;
  for (let k = 1; k + 1 < points; k++) {
    const next = quantile((k + 1) * h);
    if (z > 37) break; // beyond, densities underflow: dropped, and charged like what lies above the grid
    const parts = Math.max(1, Math.ceil(2 * (next - z) * (Math.max(Math.abs(z), Math.abs(next)) + m + 1)));
    const length = (next - z) / parts;
    let all = 0;
    let above = 0;
    for (let j = 0; j < parts; j++) {
      for (const [node, weight] of RULE) {
        const at = z + (j + node) * length;
        const part = weight * length * Math.exp((-at * at) / 2 - LOG_SQRT_2PI);
        all += part;
        above += part * k * Math.expm1(m * (at - z)); // (Y - kh) / h
      }
    }
    const upper = Math.min(Math.max(above * (1 + MASS_ERROR) + MASS_ERROR * all, 0), all);
    mass[k]! += all - upper;
    mass[k + 1]! += upper;
    z = next;
  }
  return { mass, edge: z };
}
