// The most steps that a privacy target allows.

import * as check from '../../check';
import { type Accountant, checkDelta } from './accountant';
import { composition } from './composition';
import { estimateEpsilon } from './estimate';
import { type DpEvent, withCount } from './events';
import { largestFitting } from './largestFitting';
import { pld } from './pld';

export interface StepsTarget {
  readonly targetEpsilon: number;
  readonly targetDelta: number;
  /** The step that is to be repeated; its count is not read. */
  readonly event: DpEvent;
  /** What was released before. Default: nothing. */
  readonly events?: readonly DpEvent[];
  /** What states ε. Default: `pld()`. */
  readonly accountant?: Accountant;
}

/**
 * The largest number of repetitions of `event` that the target allows after `events`, at most 2^40; 0 when not even one.
 * Never too large: the number returned was checked by the accountant. It may be too small by what the accountant's value
 * of ε itself lies above the exact one.
 *
 * @throws ERR_INVALID_ARGUMENT for values out of range.
 */
export function affordableSteps(target: StepsTarget): number {
  check.onlyKnown('affordableSteps', target, ['targetEpsilon', 'targetDelta', 'event', 'events', 'accountant']);
  const { targetEpsilon, targetDelta, event, events = [], accountant = pld() } = target;
  check.positive('affordableSteps', { targetEpsilon });
  checkDelta('affordableSteps', targetDelta);
  const all = (count: number): DpEvent[] => [...events, withCount(event, count)];
  const spent = (count: number): number => accountant.epsilon(all(count), targetDelta);
  const fits = (count: number): boolean => spent(count) <= targetEpsilon;
  const { others, binned } = composition(all(1), { binned: true });
  if (others.length > 0 || binned || accountant.groupSize !== undefined) {
    const margin = (count: number): number => Math.log(targetEpsilon / Math.max(spent(count), 1e-12));
    return largestFitting(margin, MOST_STEPS);
  }
  if (!fits(1)) return 0;
  const estimate =
    accountant.name === 'rdp'
      ? spent
      : (count: number): number => estimateEpsilon(composition(all(count)), Math.log(targetDelta));
  return refined(estimate, spent, targetEpsilon);
}

/** The largest count by a quick estimate, then by the estimate corrected by what was really spent there; 1 is known to fit. */
function refined(estimate: (count: number) => number, spent: (count: number) => number, target: number): number {
  const known = new Map<number, number>();
  const quick = (count: number): number => {
    const value = known.get(count) ?? Math.max(estimate(count), 1e-12);
    known.set(count, value);
    return value;
  };
  let best = 1;
  let low = 1;
  let correction = 1;
  for (let round = 0; round < 4; round++) {
    low = largestFitting((count) => Math.log(target / (correction * quick(count))), MOST_STEPS, 1e-6);
    if (low <= best) break;
    const value = spent(low);
    if (value <= target) best = low;
    // A little more than the ratio where that was too much, so that the next one fits.
    const next = (value / quick(low)) * (value <= target ? 1 : 1 + 1e-6 * 4 ** round);
    if (value <= target && next >= correction * (1 - 1e-5)) break;
    correction = next;
  }
  for (let retreat = 1e-5; best === 1 && low > 1; retreat *= 2) {
    low = Math.max(1, low - Math.ceil(retreat * low));
    if (spent(low) <= target) best = low;
  }
  return best;
}

const MOST_STEPS = 2 ** 40;
