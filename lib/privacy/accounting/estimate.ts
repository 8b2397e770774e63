// Quick estimates of ε that steer searches. Nothing is stated from them.
//
// The quickest is the saddle point's: with φ(s) = Λ(s) - sε - log(s (s + 1)) and its minimum at s, δ(ε) is about e^{φ(s)} / sqrt(2π φ''(s)).
// No grid, a millisecond; four digits where many steps count, far off where few rare ones do. There a small grid is better: losses are
// spread over its points with seven moments kept, which errs in the eighth order of its width.

import { binnedGuess } from './ballsAndBins';
import { type Composition, isEmpty, type PairSteps, stepsOf } from './composition';
import { convolve } from './convolution';
import { bestTilt, type Cumulant, saddlePoint, type TiltedSum } from './cumulant';
import { exactEpsilon, hasClosedForm } from './exact';
import { gaussianEpsilon } from './gaussian';
import { nodeMoments, spreadOverGrid } from './lossNodes';
import { sampledPair } from './mixture';
import { increasingRoot } from './root';
import { smallestEpsilon } from './tiltedSum';
import { windowOf } from './window';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/** Points of the grids: for a first look, that the tilt may be that of the answer, and for the answer. */
const COARSE = 2 ** 10;
const FINE = 2 ** 13;

/** Tilts beyond this are never needed. */
const LARGEST_TILT = 1e13;

/** Steps beyond which one of them is less than a point of a small grid, and the saddle point is as good as that. */
const MANY = 3e6;

/** log of the P-mass of one step that may be left out. */
function cutBelow({ mu, sampled, others }: Composition, logDelta: number): number {
  return logDelta - Math.log(countOf({ sampled, others }) + (mu > 0 ? 1 : 0)) - 14;
}

function countOf({ sampled, others }: Pick<Composition, 'sampled' | 'others'>): number {
  return [...sampled, ...others].reduce((sum, { count }) => sum + count, 0);
}

/** Every step by its pair; the Gaussian part is one of rate 1. */
function pairsOf(composed: Composition): PairSteps[] {
  const own = stepsOf(composed).map(({ q, sigma, count }) => ({ pair: sampledPair(q, sigma), count }));
  return [...own, ...composed.others];
}

/** The cumulant function of direction `remove` without the largest losses, from lists of them. */
function listed(composed: Composition, logCut: number): Cumulant {
  const lists = pairsOf(composed).map(({ pair, count }) => {
    return { count, nodes: pair.nodes({ direction: 'remove', gap: Infinity, logCut }) };
  });
  const at = (s: number): TiltedSum => {
    let [log, mean, variance] = [0, 0, 0];
    for (const { count, nodes } of lists) {
      const moments = nodeMoments(nodes, s);
      log += count * moments.log;
      mean += count * moments.mean;
      variance += count * moments.variance;
    }
    return { log, mean, variance };
  };
  return { at, largestTilt: LARGEST_TILT };
}

/** About the ε >= 0 of direction `remove` at log δ by the saddle point, of any composition; without amplification for balls and bins. */
export function saddleEpsilon(composed: Composition, logDelta: number): number {
  if (isEmpty(composed)) return 0;
  if (composed.binned) return gaussianEpsilon(composed.binned.mu, logDelta);
  if (hasClosedForm(composed)) return exactEpsilon(composed, 'remove', logDelta);
  const cumulant = listed(composed, cutBelow(composed, logDelta));
  const at = (s: number): { readonly epsilon: number; readonly logDelta: number; readonly stiffness: number } => {
    const { log, mean, variance } = cumulant.at(s);
    const epsilon = mean - 1 / s - 1 / (s + 1);
    const stiffness = variance + 1 / s ** 2 + 1 / (s + 1) ** 2;
    return {
      epsilon,
      logDelta: log - s * epsilon - Math.log(s) - Math.log1p(s) - Math.log(2 * Math.PI * stiffness) / 2,
      stiffness,
    };
  };
  const spread = Math.sqrt(cumulant.at(0).variance);
  const logS = increasingRoot(
    (u) => {
      const s = Math.exp(u);
      const point = at(s);
      return [logDelta - point.logDelta, s * s * point.stiffness];
    },
    {
      start: Math.log(Math.sqrt(-2 * logDelta) / spread + 0.5),
      high: Math.log(cumulant.largestTilt),
      tolerance: 1e-4,
    },
  );
  return Math.max(0, at(Math.exp(logS)).epsilon);
}

/** About the ε >= 0 at log δ by a small grid where that is better, of any composition. @throws ERR_ACCOUNTING out of range */
export function estimateEpsilon(composed: Composition, logDelta: number): number {
  if (isEmpty(composed)) return 0;
  if (composed.binned) return binnedGuess(composed.binned, logDelta);
  if (hasClosedForm(composed)) return exactEpsilon(composed, 'remove', logDelta);
  return countOf(composed) > MANY ? saddleEpsilon(composed, logDelta) : gridEpsilon(composed, logDelta);
}

function gridEpsilon(composed: Composition, logDelta: number): number {
  const logCut = cutBelow(composed, logDelta);
  const cumulant = listed(composed, logCut);
  const pairs = pairsOf(composed);
  let guess = Math.max(0, bestTilt(cumulant, logDelta).epsilon);
  let size = COARSE;
  let tail = 18;
  for (let round = 0; round < 8 && guess > 0; round++) {
    const tilt = saddlePoint(cumulant, guess);
    const { low, high } = windowOf({ cumulant, tilt, tail });
    const width = (high - low) / (size - 2);
    const first = Math.floor(low / width);
    const terms = pairs.map(({ pair, count }) => {
      const nodes = pair.nodes({ direction: 'remove', gap: width, logCut });
      return { loss: spreadOverGrid(nodes, width, tilt, 1e-20 / count), count };
    });
    const { mass } = convolve(terms, first, size);
    const log = terms.reduce((sum, { loss, count }) => sum + count * loss.log, 0);
    const found = smallestEpsilon({ mass, first, width, tilt, log, rounding: 0, logRest: -Infinity }, logDelta);
    if (found === undefined) {
      tail *= 1.5;
      continue;
    }
    const near = found >= 0.8 * guess;
    guess = Math.min(guess, Math.max(0, found));
    if (near && size === FINE) break;
    if (near) size = FINE;
  }
  return guess;
}
