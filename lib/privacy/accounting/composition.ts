// The mathematical content of a list of events, in a canonical order: what accountants compute with.

import * as check from '../../check';
import { raise } from '../../errors';
import { type DpEvent, mergeEvents, type Neighbours, neighboursOf } from './events';
import { fixedSizePair } from './fixedSize';
import type { LossPair } from './lossPair';
import { binomialWeights, mixturePair } from './mixture';
import { truncatedPair } from './truncated';

/** Steps of one Poisson-subsampled mechanism with 0 < q < 1. */
export interface SampledSteps {
  readonly q: number;
  readonly sigma: number;
  readonly count: number;
}

/** Steps of any other mechanism, by the pair of distributions that dominates it. */
export interface PairSteps {
  readonly pair: LossPair;
  readonly count: number;
}

/** A run of balls-and-bins sampling, which is one mechanism: its steps share the assignment. */
export interface BinnedRun {
  readonly bins: number;
  /** sqrt(passes) / σ. */
  readonly mu: number;
}

interface BinnedPasses {
  readonly bins: number;
  readonly sigma: number;
  passes: number;
}

export interface Composition {
  /** sqrt(Σ count / σ²) over the Gaussian events and those sampled with q = 1; all unsampled Gaussians are one with `mu`. */
  readonly mu: number;
  readonly sampled: readonly SampledSteps[];
  /** Steps with other pairs than Poisson sampling for neighbours `addRemove`. */
  readonly others: readonly PairSteps[];
  /** Set when balls-and-bins steps are all there is. */
  readonly binned: BinnedRun | null;
}

export interface CompositionOptions {
  /** How many records two neighbouring data sets may differ in. Default 1. */
  readonly groupSize?: number;
  /** Accept balls-and-bins steps, which only `pld` can account for. Default false. */
  readonly binned?: boolean;
}

/**
 * Steps of less noise than this are counted as if they were not sampled, which is never too little (hockey-stick divergences are convex):
 * their moments would take millions of nodes, and ε lies beyond 1e5 after a few of them.
 */
const LEAST_SAMPLED_NOISE = 1 / 100;

/**
 * Brings events into the form that accountants compute with. The order of the events does not matter.
 *
 * @throws ERR_INVALID_ARGUMENT for what is no event, and for events whose neighbours differ: their losses do not add up.
 * @throws ERR_ACCOUNTING for combinations without a sound accountant.
 */
export function composition(events: readonly DpEvent[], options: CompositionOptions = {}): Composition {
  if (!Array.isArray(events)) raise('ERR_INVALID_ARGUMENT', 'events: must be an array of events.');
  const { groupSize = 1 } = options;
  check.integer('accountant', { groupSize }, 1, 10_000);
  const list = mergeEvents(events).filter(({ count }) => count > 0);
  checkNeighbours(list, groupSize);
  const precision: number[] = [];
  const sampled: SampledSteps[] = [];
  const others: { readonly order: readonly number[]; readonly steps: PairSteps }[] = [];
  const binned: BinnedPasses[] = [];
  for (const event of list) {
    const { noiseMultiplier: sigma, count } = event;
    const replace = neighboursOf(event) === 'replace';
    const add = (order: readonly number[], pair: LossPair): number =>
      others.push({ order: [...order, sigma, count], steps: { pair, count } });
    const q = 'samplingRate' in event ? event.samplingRate : 1;
    if (q === 0) continue;
    if (event.kind === 'shuffledGaussian') {
      precision.push(Math.ceil(count / event.stepsPerEpoch) / sigma ** 2);
    } else if (event.kind === 'ballsAndBinsGaussian') {
      const passes = Math.ceil(count / event.bins);
      if (event.bins === 1) precision.push(passes / sigma ** 2);
      else addPasses(binned, { bins: event.bins, sigma, passes });
    } else if (event.kind === 'truncatedPoissonGaussian' && (q < 1 || event.maxBatchSize < event.records)) {
      add([1, q, event.records, event.maxBatchSize], truncatedPair(event, sigma, replace));
    } else if (q === 1 || (sigma < LEAST_SAMPLED_NOISE && event.kind === 'poissonGaussian')) {
      // Replacing a record moves the sum by up to 2, removing k records by up to k.
      precision.push((count * (replace ? 2 : groupSize) ** 2) / sigma ** 2);
    } else if (event.kind === 'fixedSizeGaussian') {
      add([2, q], fixedSizePair(q, sigma));
    } else if (replace) {
      add([3, q], mixturePair({ weights: [1 - q, q], means: [0, 1] }, { weights: [1 - q, q], means: [0, -1] }, sigma));
    } else if (groupSize > 1) {
      add([4, q], mixturePair(binomialWeights(groupSize, q), { weights: [1], means: [0] }, sigma));
    } else {
      sampled.push({ q, sigma, count });
    }
  }
  precision.sort((a, b) => a - b); // a fixed order of addition: composition commutes to the last bit
  sampled.sort((a, b) => a.q - b.q || a.sigma - b.sigma);
  others.sort((a, b) => a.order.map((x, i) => x - (b.order[i] ?? 0)).find((d) => d !== 0) ?? 0);
  const mu = Math.sqrt(precision.reduce((sum, term) => sum + term, 0));
  checkBinned(binned, precision.length + sampled.length + others.length, options.binned ?? false);
  const [run] = binned;
  return {
    mu,
    sampled,
    others: others.map(({ steps }) => steps),
    binned: run === undefined ? null : { bins: run.bins, mu: Math.sqrt(run.passes) / run.sigma },
  };
}

/** True when nothing that depends on the data was released. */
export function isEmpty({ mu, sampled, others, binned }: Composition): boolean {
  return mu === 0 && sampled.length === 0 && others.length === 0 && binned === null;
}

/** All Poisson-sampled steps; the Gaussian part of a composition is one step of rate 1. */
export function stepsOf({ mu, sampled }: Composition): SampledSteps[] {
  return mu > 0 ? [...sampled, { q: 1, sigma: 1 / mu, count: 1 }] : [...sampled];
}

/** A composition of a single step, 0 < q <= 1. */
export function once(step: SampledSteps): Composition {
  const alone = { mu: 0, sampled: [], others: [], binned: null };
  return step.q === 1 ? { ...alone, mu: 1 / step.sigma } : { ...alone, sampled: [{ ...step, count: 1 }] };
}

/** A release that is bounded for one relation says nothing about another one; and groups need a proof of their own. */
function checkNeighbours(events: readonly DpEvent[], groupSize: number): void {
  const relations = new Set<Neighbours>(events.map(neighboursOf));
  if (relations.size > 1) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `events: the releases are charged for different neighbours (${[...relations].join(', ')}); charge all for the same.`,
    );
  }
  const single = events.find((event) => !['gaussian', 'poissonGaussian'].includes(event.kind));
  if (groupSize > 1 && (single || relations.has('replace'))) {
    raise(
      'ERR_ACCOUNTING',
      'accountant: groups of records have sound accounting for gaussian and poissonGaussian events with neighbours addRemove ' +
        'or zeroOut only.',
    );
  }
}

// Each entry is of a run of its own, and a pass that it has begun counts whole. Whole passes of several runs are those of one.
function addPasses(runs: BinnedPasses[], { bins, sigma, passes }: BinnedPasses): void {
  const same = runs.find((run) => run.bins === bins && run.sigma === sigma);
  if (same === undefined) runs.push({ bins, sigma, passes });
  else same.passes += passes;
}

function checkBinned(binned: readonly BinnedPasses[], others: number, allowed: boolean): void {
  if (binned.length === 0) return;
  if (!allowed) {
    raise('ERR_ACCOUNTING', 'accountant: balls-and-bins steps are accounted for by pld only.');
  }
  if (binned.length + others > 1) {
    raise(
      'ERR_ACCOUNTING',
      'pld: balls-and-bins steps cannot be composed with other releases, nor with other bins or noise. Use Poisson sampling.',
    );
  }
}
