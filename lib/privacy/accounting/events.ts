// What was released, as plain data: the events that accountants compose and ledgers store.

import * as check from '../../check';
import { raise } from '../../errors';

/**
 * How two data sets that must look alike differ: by one record more or less, by one record that is another one, or by one
 * record whose contribution is zero. It changes what noise is worth, never how much there is of it.
 */
export type Neighbours = 'addRemove' | 'replace' | 'zeroOut';

/** At least one relation. */
export type SoundNeighbours = readonly [Neighbours, ...Neighbours[]];

export const NEIGHBOURS: SoundNeighbours = ['addRemove', 'replace', 'zeroOut'];

interface Release {
  /** The noise has standard deviation `noiseMultiplier` on a sum of contributions of norm at most 1. */
  readonly noiseMultiplier: number;
  readonly count: number;
  /** Absent: `addRemove`. */
  readonly neighbours?: Neighbours;
  /** Each release is within this total variation of the one described, whatever the data; its cost is added to δ. Absent: 0. */
  readonly distance?: number;
}

/** `count` releases of a sum of sensitivity 1 with Gaussian noise of standard deviation `noiseMultiplier`. */
export interface GaussianEvent extends Release {
  readonly kind: 'gaussian';
}

/** The same on a Poisson sample: every record takes part independently with probability `samplingRate`. */
export interface PoissonGaussianEvent extends Release {
  readonly kind: 'poissonGaussian';
  readonly samplingRate: number;
}

/** A Poisson sample cut to `maxBatchSize` by a uniform choice; `records` counts the larger of two neighbouring data sets. */
export interface TruncatedPoissonEvent extends Release {
  readonly kind: 'truncatedPoissonGaussian';
  readonly samplingRate: number;
  readonly records: number;
  readonly maxBatchSize: number;
}

/** Batches of a fixed size without replacement, a share `samplingRate` of all records; neighbours `replace` only. */
export interface FixedSizeEvent extends Release {
  readonly kind: 'fixedSizeGaussian';
  readonly samplingRate: number;
  readonly neighbours: 'replace';
}

/**
 * `count` steps of one run that visit `bins` bins in turn, each record in one random bin; one assignment for all steps. Whole passes of
 * two runs may be added up: independent assignments follow from one by permuting the bins of a pass, which only loses information. Steps
 * may not: in two half passes with assignments of their own a record can take part twice.
 */
export interface BallsAndBinsEvent extends Release {
  readonly kind: 'ballsAndBinsGaussian';
  readonly bins: number;
}

/** `count` steps of one run over shuffled data, `stepsPerEpoch` a pass; every record once a pass. Neighbours `zeroOut` only. */
export interface ShuffledEvent extends Release {
  readonly kind: 'shuffledGaussian';
  readonly stepsPerEpoch: number;
  readonly neighbours: 'zeroOut';
}

/** One kind of release and how often it happened. JSON-safe. */
export type DpEvent =
  GaussianEvent | PoissonGaussianEvent | TruncatedPoissonEvent | FixedSizeEvent | BallsAndBinsEvent | ShuffledEvent;

/** Fields of each kind beside `kind`, `noiseMultiplier`, `count` and `neighbours`; and the neighbours with sound accounting. */
const KINDS: Readonly<
  Record<DpEvent['kind'], { readonly fields: readonly string[]; readonly neighbours: readonly Neighbours[] }>
> = {
  gaussian: { fields: [], neighbours: NEIGHBOURS },
  poissonGaussian: { fields: ['samplingRate'], neighbours: NEIGHBOURS },
  truncatedPoissonGaussian: { fields: ['samplingRate', 'records', 'maxBatchSize'], neighbours: NEIGHBOURS },
  fixedSizeGaussian: { fields: ['samplingRate'], neighbours: ['replace'] },
  ballsAndBinsGaussian: { fields: ['bins'], neighbours: ['addRemove', 'zeroOut'] },
  shuffledGaussian: { fields: ['stepsPerEpoch'], neighbours: ['zeroOut'] },
};

/** A Gaussian release of a sum in which every record takes part. @throws ERR_INVALID_ARGUMENT */
export function gaussian(noiseMultiplier: number, count = 1, neighbours: Neighbours = 'addRemove'): GaussianEvent {
  return checkEvent({ kind: 'gaussian', noiseMultiplier, count, neighbours });
}

/** Steps of DP-SGD with Poisson sampling. @throws ERR_INVALID_ARGUMENT */
export function poissonGaussian(
  samplingRate: number,
  noiseMultiplier: number,
  count = 1,
  neighbours: Neighbours = 'addRemove',
): PoissonGaussianEvent {
  return checkEvent({ kind: 'poissonGaussian', samplingRate, noiseMultiplier, count, neighbours });
}

/** Steps on truncated Poisson samples of `records` records. @throws ERR_INVALID_ARGUMENT */
export function truncatedPoissonGaussian(
  sampling: { readonly samplingRate: number; readonly records: number; readonly maxBatchSize: number },
  noiseMultiplier: number,
  count = 1,
  neighbours: Neighbours = 'addRemove',
): TruncatedPoissonEvent {
  check.onlyKnown('truncatedPoissonGaussian', sampling, ['samplingRate', 'records', 'maxBatchSize']);
  return checkEvent({ kind: 'truncatedPoissonGaussian', ...sampling, noiseMultiplier, count, neighbours });
}

/** Steps on samples of a fixed size without replacement; neighbours `replace`. @throws ERR_INVALID_ARGUMENT */
export function fixedSizeGaussian(samplingRate: number, noiseMultiplier: number, count = 1): FixedSizeEvent {
  return checkEvent({ kind: 'fixedSizeGaussian', samplingRate, noiseMultiplier, count, neighbours: 'replace' });
}

/** Steps of balls-and-bins sampling. @throws ERR_INVALID_ARGUMENT, also for neighbours `replace`. */
export function ballsAndBinsGaussian(
  bins: number,
  noiseMultiplier: number,
  count = 1,
  neighbours: Neighbours = 'addRemove',
): BallsAndBinsEvent {
  return checkEvent({ kind: 'ballsAndBinsGaussian', bins, noiseMultiplier, count, neighbours });
}

/** Steps over shuffled data; neighbours `zeroOut`. @throws ERR_INVALID_ARGUMENT */
export function shuffledGaussian(stepsPerEpoch: number, noiseMultiplier: number, count = 1): ShuffledEvent {
  return checkEvent({ kind: 'shuffledGaussian', stepsPerEpoch, noiseMultiplier, count, neighbours: 'zeroOut' });
}

/** The relation that an event is charged for. */
export function neighboursOf(event: DpEvent): Neighbours {
  check.object('neighboursOf', { event });
  return event.neighbours ?? 'addRemove';
}

/** Returns a frozen copy of an event that may come from a file. @throws ERR_INVALID_ARGUMENT naming the field. */
export function checkEvent<E extends DpEvent>(event: E): E {
  if (typeof event !== 'object' || event === null) {
    return raise('ERR_INVALID_ARGUMENT', `event: must be an object, got ${String(event)}.`);
  }
  const { kind, noiseMultiplier, count, distance = 0 } = event;
  check.oneOf('event', { kind }, Object.keys(KINDS) as DpEvent['kind'][]);
  check.positive('event', { noiseMultiplier });
  check.integer('event', { count });
  check.notNegative('event', { distance });
  const neighbours = neighboursOf(event);
  check.oneOf('event', { neighbours }, NEIGHBOURS);
  const { fields, neighbours: sound } = KINDS[kind];
  // «neighbors», or what a later version writes, would be ignored in silence, and ε be that of something else.
  check.onlyKnown('event', event, ['kind', 'noiseMultiplier', 'count', 'neighbours', 'distance', ...fields]);
  if (!sound.includes(neighbours)) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `event: ${kind} has no sound accounting for neighbours ${neighbours}, only for ${sound.join(', ')}.`,
    );
  }
  const values = event as unknown as Readonly<Record<string, number>>;
  const own = Object.fromEntries(fields.map((field) => [field, checkField(field, values[field] as number)]));
  const relation = neighbours === 'addRemove' ? {} : { neighbours };
  const apart = distance === 0 ? {} : { distance };
  return Object.freeze({ kind, ...own, noiseMultiplier, count, ...relation, ...apart }) as E;
}

function checkField(field: string, value: number): number {
  if (field !== 'samplingRate') {
    check.integer('event', { [field]: value }, 1);
    return value;
  }
  check.notNegative('event', { samplingRate: value });
  if (value > 1) raise('ERR_INVALID_ARGUMENT', `event: samplingRate must be from 0 to 1, got ${value}.`);
  return value;
}

/** True when two events differ in nothing but their count. @throws ERR_INVALID_ARGUMENT for what is no event */
export function sameMechanism(a: DpEvent, b: DpEvent): boolean {
  check.object('sameMechanism', { a });
  check.object('sameMechanism', { b });
  if (a.kind !== b.kind || a.noiseMultiplier !== b.noiseMultiplier || neighboursOf(a) !== neighboursOf(b)) return false;
  if ((a.distance ?? 0) !== (b.distance ?? 0)) return false;
  check.oneOf('sameMechanism', { kind: a.kind }, Object.keys(KINDS) as DpEvent['kind'][]);
  const [left, right] = [a, b] as unknown as Readonly<Record<string, number>>[];
  return KINDS[a.kind].fields.every((field) => left![field] === right![field]);
}

/** The event with another count. @throws ERR_INVALID_ARGUMENT */
export function withCount<E extends DpEvent>(event: E, count: number): E {
  check.object('withCount', { event });
  return checkEvent({ ...event, count });
}

/** Whether the steps of one run depend on each other: half a pass of one and half a pass of another run are two passes begun. */
export function countsPasses({ kind }: DpEvent): boolean {
  return kind === 'shuffledGaussian' || kind === 'ballsAndBinsGaussian';
}

/**
 * Events with equal mechanisms merged into one, in order of first appearance. Entries that count passes stay apart: they may be of two
 * runs.
 */
export function mergeEvents(events: readonly DpEvent[]): DpEvent[] {
  check.objects('mergeEvents', { events });
  const merged: DpEvent[] = [];
  for (const event of events) {
    if (countsPasses(event)) merged.push(checkEvent(event));
    else addEvent(merged, event);
  }
  return merged;
}

/** Appends an event of the run that the list belongs to: its count goes to an entry with the same mechanism. */
export function addEvent(events: DpEvent[], event: DpEvent): void {
  const at = events.findIndex((other) => sameMechanism(other, event));
  if (at < 0) events.push(checkEvent(event));
  else events[at] = withCount(event, events[at]!.count + event.count);
}
