// Poisson samples cut to a maximal size by a uniform choice: one step's dominating pair.
//
// Let S be the Poisson sample of the n - 1 records that two neighbours share. With probability 1 - τ it is smaller than the
// maximum M: then the record in question joins with probability q and nothing is cut, the plain Poisson pair. With
// probability τ = P[Bin(n-1, q) >= M] it fills the batch: the kept M records are a uniform choice T + {j}, and the record
// takes the place of j with probability γ = q E[M / (|S|+1) | |S| >= M] = P[Bin(n, q) > M] M / (τ n). Seen from the sum over
// T + {j} the record moves it by g - g_j, of norm at most 2, in both data sets for neighbours `replace`, in one for
// `addRemove`; for `zeroOut` the other one has -g_j. All are dominated by (1-γ) N(0) + γ N(2) against (1-γ) N(0) + γ N(-2):
// see mixture.ts. Which of the two happens depends on S alone, so a mixture of the pairs dominates. For `addRemove` it is
// the bound of arXiv 2508.15089 (dp-accounting's TruncatedSubsampledGaussianDpEvent).

import * as check from '../../check';
import { raise } from '../../errors';
import { binomialTail } from './binomial';
import type { Direction, TiltedSum } from './cumulant';
import { type DiscreteLoss, discretise, type GridOptions } from './discretisation';
import { upperOutput } from './loss';
import { joined } from './lossNodes';
import type { LossPair } from './lossPair';
import { mixturePair, sampledPair } from './mixture';
import { OUT_OF_REACH } from './mixtureMoments';
import { tiltedMoments } from './moments';
import { log1mexp, logAddExp } from './special';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

export interface TruncatedSampling {
  readonly samplingRate: number;
  readonly records: number;
  readonly maxBatchSize: number;
}

export interface Truncation {
  /** log τ: how rarely a batch is full without the record. */
  readonly logProbability: number;
  /** γ: the record's chance to be in a full batch. */
  readonly conditionalRate: number;
}

/** How often the batch is full, and the chance of a record to be in it then. @throws ERR_INVALID_ARGUMENT for a rate of 0 or 1 */
export function truncation({ samplingRate: q, records, maxBatchSize }: TruncatedSampling): Truncation {
  check.between('truncatedPoisson', { samplingRate: q }, 0, 1);
  const logProbability = binomialTail(records - 1, q, maxBatchSize);
  const logAbove = binomialTail(records, q, maxBatchSize + 1);
  if (logProbability === -Infinity) return { logProbability, conditionalRate: 0 };
  return { logProbability, conditionalRate: Math.exp(logAbove - logProbability) * (maxBatchSize / records) };
}

/** One step of truncated Poisson sampling, 0 < q < 1. */
export function truncatedPair(sampling: TruncatedSampling, sigma: number, replace: boolean): LossPair {
  const { samplingRate: q, maxBatchSize, records } = sampling;
  if (q === 1 && maxBatchSize < records) {
    raise(
      'ERR_ACCOUNTING',
      'truncatedPoisson: a sampling rate of 1 with a cut is a batch of fixed size: use fixedSize.',
    );
  }
  const { logProbability, conditionalRate: rate } = truncation(sampling);
  const plain = replace ? replacePair(q, sigma) : poissonPair(q, sigma);
  return rate === 0 ? plain : mixed(plain, replacePair(Math.min(rate, 1), sigma / 2), logProbability);
}

function replacePair(q: number, sigma: number): LossPair {
  const weights = q === 1 ? [1] : [1 - q, q];
  return mixturePair({ weights, means: q === 1 ? [1] : [0, 1] }, { weights, means: q === 1 ? [-1] : [0, -1] }, sigma);
}

/** The Poisson pair by the routines of its own, which are exact for tiny q. */
function poissonPair(q: number, sigma: number): LossPair {
  return {
    symmetric: false,
    largestTilt: 100 + 1e5 * Math.min(sigma, sigma * sigma),
    largestLoss: (direction) => (direction === 'remove' ? Infinity : -Math.log1p(-q)),
    tilted(direction, s, logCut) {
      const remove = direction === 'remove';
      const most = remove && logCut > -Infinity ? upperOutput(q, sigma, logCut) : Infinity;
      const { log, mean, variance } = tiltedMoments(q, sigma, remove ? 1 + s : -s, most);
      return { log, mean: remove ? mean : -mean, variance };
    },
    discretise: (options) => discretise({ q, sigma, count: 1 }, options),
    nodes: (options) => sampledPair(q, sigma).nodes(options),
  };
}

/** With probability e^{logProbability} the second pair, otherwise the first, and it is known which. */
function mixed(first: LossPair, second: LossPair, logProbability: number): LossPair {
  const logRest = log1mexp(logProbability);
  return {
    symmetric: first.symmetric && second.symmetric,
    largestTilt: Math.min(first.largestTilt, second.largestTilt),
    largestLoss: (direction) => Math.max(first.largestLoss(direction), second.largestLoss(direction)),
    tilted(direction: Direction, s: number, logCut: number): TiltedSum {
      const a = first.tilted(direction, s, logCut);
      if (logProbability <= logCut) return a;
      const b = second.tilted(direction, s, logCut - logProbability);
      if (a.log === Infinity || b.log === Infinity) return OUT_OF_REACH;
      // K - 1 of both is kept, so that nothing is lost where K is nearly 1.
      const excess = Math.exp(logRest) * Math.expm1(a.log) + Math.exp(logProbability) * Math.expm1(b.log);
      const [logA, logB] = [logRest + a.log, logProbability + b.log];
      const log = Math.max(a.log, b.log) < 1 ? Math.log1p(excess) : logAddExp(logA, logB);
      const [shareA, shareB] = [Math.exp(logA - log), Math.exp(logB - log)];
      const mean = shareA * a.mean + shareB * b.mean;
      const variance = shareA * (a.variance + (a.mean - mean) ** 2) + shareB * (b.variance + (b.mean - mean) ** 2);
      return { log, mean, variance };
    },
    discretise(options: GridOptions): DiscreteLoss {
      const { direction, tilt, logCut } = options;
      const log = (pair: LossPair, cut: number): number => pair.tilted(direction, tilt, cut).log;
      const a = first.discretise({ ...options, log: log(first, logCut) });
      if (logProbability <= logCut) return { ...a, logInfinity: logAddExp(a.logInfinity, logProbability) };
      const cut = logCut - logProbability;
      const b = second.discretise({ ...options, logCut: cut, log: log(second, cut) });
      return added(a, logRest, b, logProbability);
    },
    nodes(options) {
      const a = first.nodes(options);
      if (logProbability <= options.logCut) return a;
      return joined(a, logRest, second.nodes({ ...options, logCut: options.logCut - logProbability }), logProbability);
    },
  };
}

function added(a: DiscreteLoss, logA: number, b: DiscreteLoss, logB: number): DiscreteLoss {
  const log = logAddExp(logA + a.log, logB + b.log);
  const shares = [Math.exp(logA + a.log - log), Math.exp(logB + b.log - log)] as const;
  const first = Math.min(a.first, b.first);
  const mass = new Float64Array(Math.max(a.first + a.mass.length, b.first + b.mass.length) - first);
  [a, b].forEach((part, k) => {
    for (let i = 0; i < part.mass.length; i++) mass[part.first - first + i]! += shares[k]! * part.mass[i]!;
  });
  return {
    mass,
    first,
    log,
    excess: shares[0] * a.excess + shares[1] * b.excess,
    logInfinity: logAddExp(logA + a.logInfinity, logB + b.logInfinity),
    lossError: Math.max(a.lossError, b.lossError),
  };
}
