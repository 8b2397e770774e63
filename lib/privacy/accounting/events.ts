// What was released, as plain data: the events that accountants compose and ledgers store.

import * as check from '../../check';
import { raise } from '../../errors';

/** `count` releases of a sum of sensitivity 1 with Gaussian noise of standard deviation `noiseMultiplier`. */
export interface GaussianEvent {
  readonly kind: 'gaussian';
  readonly noiseMultiplier: number;
  readonly count: number;
}

/** The same on a Poisson sample: every record takes part independently with probability `samplingRate`. */
export interface PoissonGaussianEvent {
  readonly kind: 'poissonGaussian';
  readonly samplingRate: number;
  readonly noiseMultiplier: number;
  readonly count: number;
}

/** One kind of release and how often it happened. JSON-safe. Neighbours add or remove one record. */
export type DpEvent = GaussianEvent | PoissonGaussianEvent;

/** A Gaussian release of a sum in which every record takes part. @throws ERR_INVALID_ARGUMENT */
export function gaussian(noiseMultiplier: number, count = 1): GaussianEvent {
  return checkEvent({ kind: 'gaussian', noiseMultiplier, count });
}

/** Steps of DP-SGD with Poisson sampling. @throws ERR_INVALID_ARGUMENT */
export function poissonGaussian(samplingRate: number, noiseMultiplier: number, count = 1): PoissonGaussianEvent {
  return checkEvent({ kind: 'poissonGaussian', samplingRate, noiseMultiplier, count });
}

/** Returns a frozen copy of an event that may come from a file. @throws ERR_INVALID_ARGUMENT naming the field. */
export function checkEvent<E extends DpEvent>(event: E): E {
  if (typeof event !== 'object' || event === null) {
    return raise('ERR_INVALID_ARGUMENT', `event: must be an object, got ${String(event)}.`);
  }
  const { kind, noiseMultiplier, count } = event;
  check.oneOf('event', { kind }, ['gaussian', 'poissonGaussian']);
  check.positive('event', { noiseMultiplier });
  check.integer('event', { count });
  if (event.kind === 'gaussian') return Object.freeze({ kind, noiseMultiplier, count }) as E;
  const { samplingRate } = event;
  check.notNegative('event', { samplingRate });
  if (samplingRate > 1) raise('ERR_INVALID_ARGUMENT', `event: samplingRate must be from 0 to 1, got ${samplingRate}.`);
  return Object.freeze({ kind, samplingRate, noiseMultiplier, count }) as E;
}

/** True when two events differ in nothing but their count. */
export function sameMechanism(a: DpEvent, b: DpEvent): boolean {
  if (a.kind !== b.kind || a.noiseMultiplier !== b.noiseMultiplier) return false;
  return a.kind === 'gaussian' || a.samplingRate === (b as PoissonGaussianEvent).samplingRate;
}

/** The event with another count. @throws ERR_INVALID_ARGUMENT */
export function withCount<E extends DpEvent>(event: E, count: number): E {
  return checkEvent({ ...event, count });
}

/** Events with equal mechanisms merged into one, in order of first appearance. */
export function mergeEvents(events: readonly DpEvent[]): DpEvent[] {
  const merged: DpEvent[] = [];
  for (const event of events) {
    const at = merged.findIndex((other) => sameMechanism(other, event));
    if (at < 0) merged.push(checkEvent(event));
    else merged[at] = withCount(event, merged[at]!.count + event.count);
  }
  return merged;
}

/** Steps of one subsampled mechanism with 0 < q < 1. */
export interface SampledSteps {
  readonly q: number;
  readonly sigma: number;
  readonly count: number;
}

/** The mathematical content of a list of events, in a canonical order: all unsampled Gaussians are one with `mu`. */
export interface Composition {
  /** sqrt(Σ count / σ²) over the Gaussian events and those sampled with q = 1. */
  readonly mu: number;
  readonly sampled: readonly SampledSteps[];
}

/** Brings events into the form that accountants compute with. The order of the events does not matter. @throws ERR_INVALID_ARGUMENT */
export function composition(events: readonly DpEvent[]): Composition {
  if (!Array.isArray(events)) raise('ERR_INVALID_ARGUMENT', 'events: must be an array of events.');
  const precision: number[] = [];
  const sampled: SampledSteps[] = [];
  for (const event of mergeEvents(events)) {
    if (event.count === 0) continue;
    if (event.kind === 'gaussian' || event.samplingRate === 1) {
      precision.push(event.count / event.noiseMultiplier ** 2);
    } else if (event.samplingRate > 0) {
      sampled.push({ q: event.samplingRate, sigma: event.noiseMultiplier, count: event.count });
    }
  }
  precision.sort((a, b) => a - b); // a fixed order of addition: composition commutes to the last bit
  sampled.sort((a, b) => a.q - b.q || a.sigma - b.sigma);
  return { mu: Math.sqrt(precision.reduce((sum, term) => sum + term, 0)), sampled };
}
