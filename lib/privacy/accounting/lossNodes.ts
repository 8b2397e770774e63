// One step's privacy loss as a list of weighted values, by quadrature over its outputs: for estimates, which bound nothing.
//
// Five Gauss-Legendre nodes on panels so short that E_P[f(L)] is right to about ten digits for smooth f. Once listed, moments of every order
// are sums over the list, which are far quicker than new evaluations of a mixture's density.

import { raise } from '../../errors';
import type { Direction, TiltedSum } from './cumulant';
import { type DiscreteLoss, RULE } from './discretisation';
import { REACH } from './loss';
import { type Line, logRatio, spreadOf, upperEnd } from './mixture';
import { LOG_SQRT_2PI } from './special';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/** Panels at most, however small the gap that is asked for. */
const MOST_PANELS = 2 ** 16;

export interface LossNodes {
  readonly loss: Float64Array;
  /** log of the P-mass of each. */
  readonly logMass: Float64Array;
}

export interface NodeOptions {
  readonly direction: Direction;
  /** About the largest distance between losses of neighbouring nodes. Infinity: what smooth functions need. */
  readonly gap: number;
  /** log of the P-mass of the largest losses that is left out. */
  readonly logCut: number;
}

/** The nodes of a line on which dP/dQ rises, from output `bottom` on. */
export function lineNodes(
  line: Line,
  { gap, logCut }: Pick<NodeOptions, 'gap' | 'logCut'>,
  bottom = Math.min(...line.p.means) - REACH * line.sigma,
): LossNodes {
  const { p, q, sigma } = line;
  const s2 = sigma * sigma;
  const spread = spreadOf(line);
  const end = Math.max(upperEnd(line, logCut), bottom + 0.01 * sigma);
  // The loss changes by at most spread / σ² per unit, and five nodes on a panel are never 2/5 of it apart.
  const smooth = Math.min(sigma / 2, s2 / (2 * spread));
  if ((end - bottom) / smooth > MOST_PANELS)
    raise('ERR_ACCOUNTING', 'estimate: too little noise for a list of losses.');
  const longest = Math.min(smooth, (2 * gap * s2) / spread);
  const panels = Math.min(MOST_PANELS, Math.ceil((end - bottom) / longest));
  const length = (end - bottom) / panels;
  const logNorm = Math.log(length) - LOG_SQRT_2PI - Math.log(sigma);
  const loss = new Float64Array(panels * RULE.length);
  const logMass = new Float64Array(panels * RULE.length);
  RULE.forEach(([node, weight], j) => {
    const log = Math.log(weight) + logNorm;
    for (let k = 0; k < panels; k++) {
      const x = bottom + (k + node) * length;
      const logP = logRatio(p, sigma, x);
      loss[k * RULE.length + j] = logP - logRatio(q, sigma, x);
      logMass[k * RULE.length + j] = logP - (x * x) / (2 * s2) + log;
    }
  });
  return { loss, logMass };
}

/** Both lists, the weights of each times a factor. */
export function joined(a: LossNodes, logA: number, b: LossNodes, logB: number): LossNodes {
  const size = a.loss.length;
  const loss = new Float64Array(size + b.loss.length);
  const logMass = new Float64Array(loss.length);
  loss.set(a.loss);
  loss.set(b.loss, size);
  a.logMass.forEach((log, k) => (logMass[k] = logA + log));
  b.logMass.forEach((log, k) => (logMass[size + k] = logB + log));
  return { loss, logMass };
}

/** Λ(s) of the list with its first two derivatives; good to about ten digits of e^{Λ}. */
export function nodeMoments({ loss, logMass }: LossNodes, s: number): TiltedSum {
  let top = -Infinity;
  for (let k = 0; k < loss.length; k++) top = Math.max(top, logMass[k]! + s * loss[k]!);
  let zeroth = 0;
  let first = 0;
  let second = 0;
  for (let k = 0; k < loss.length; k++) {
    const l = loss[k]!;
    const weight = Math.exp(logMass[k]! + s * l - top);
    zeroth += weight;
    first += weight * l;
    second += weight * l * l;
  }
  const mean = first / zeroth;
  return { log: top + Math.log(zeroth), mean, variance: Math.max(second / zeroth - mean * mean, 1e-14 * mean * mean) };
}

/** The points around a cell that share a node, and 1 / ∏ (their distances from the others): Lagrange's interpolation. */
const OFFSETS = [-3, -2, -1, 0, 1, 2, 3, 4] as const;
const INVERSE = OFFSETS.map((at) =>
  OFFSETS.reduce<number>((part, other) => (other === at ? part : part / (at - other)), 1),
);

/**
 * The tilted loss on the multiples of `width`, each node shared among the eight nearest ones so that its moments up to the seventh stay: the
 * characteristic function is right to the eighth order of the width. Masses may be negative.
 *
 * @param least  Nodes with a smaller share than this are left out.
 */
export function spreadOverGrid(nodes: LossNodes, width: number, tilt: number, least: number): DiscreteLoss {
  const { loss, logMass } = nodes;
  const { log } = nodeMoments(nodes, tilt);
  const weights = logMass.map((part, k) => Math.exp(part + tilt * loss[k]! - log));
  let [low, high] = [Infinity, -Infinity];
  for (let k = 0; k < loss.length; k++) {
    if (!(weights[k]! > least)) continue;
    low = Math.min(low, loss[k]!);
    high = Math.max(high, loss[k]!);
  }
  const first = Math.floor(low / width) - 3;
  const mass = new Float64Array(Math.floor(high / width) + 5 - first);
  let total = 0;
  for (let k = 0; k < loss.length; k++) {
    const weight = weights[k]!;
    if (!(weight > least)) continue;
    const at = loss[k]! / width;
    const cell = Math.floor(at);
    const u = at - cell;
    total += weight;
    if (u < 1e-12) {
      mass[cell - first]! += weight;
      continue;
    }
    let product = weight;
    for (const offset of OFFSETS) product *= u - offset;
    for (let j = 0; j < 8; j++) mass[cell - first + j - 3]! += (product * INVERSE[j]!) / (u - OFFSETS[j]!);
  }
  return { mass: mass.map((part) => part / total), first, log, excess: 0, logInfinity: -Infinity, lossError: 0 };
}
