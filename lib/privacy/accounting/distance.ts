// Releases that are close to the ones described, not equal to them: what their distance adds to δ.

import * as check from '../../check';
import { raise } from '../../errors';
import { type Accountant, checkDelta } from './accountant';
import type { DpEvent } from './events';

/** Total variation between everything that was released and the mechanisms that the events describe: it adds up over releases. */
export function totalDistance(events: readonly DpEvent[]): number {
  return events.reduce((sum, { distance = 0, count }) => sum + distance * count, 0);
}

/** The events as if every release were exactly the one described. */
export function withoutDistance(events: readonly DpEvent[]): DpEvent[] {
  return events.map(({ distance: _distance, ...event }) => event as DpEvent);
}

/**
 * Lets an accountant of exact mechanisms state what holds at a distance η: P'(S) ≤ P(S) + η ≤ e^ε Q(S) + δ + η ≤
 * e^ε Q'(S) + δ + (1 + e^ε) η, for both neighbours and whatever they are.
 */
export function allowingDistance<A extends Accountant>(accountant: A): A {
  const { name } = accountant;
  const epsilon = (events: readonly DpEvent[], delta: number): number => {
    check.objects(`${name}.epsilon`, { events });
    const distance = totalDistance(events);
    if (distance === 0) return accountant.epsilon(events, delta);
    checkDelta(`${name}.epsilon`, delta);
    const described = withoutDistance(events);
    // ε(δ - (1 + e^ε) η) grows with ε: from below, the first value that it does not exceed is a sound one.
    let bound = accountant.epsilon(described, delta);
    for (let round = 0; round < 100; round++) {
      const left = delta - (1 + Math.exp(bound)) * distance;
      if (!(left > 0)) break;
      const next = accountant.epsilon(described, left);
      if (next <= bound) return bound;
      bound = next * (1 + 1e-6); // so that the distances of real noise take two rounds
    }
    return raise(
      'ERR_ACCOUNTING',
      `${name}: the releases are only known to be within ${distance.toExponential(2)} of the ones described, which leaves nothing of delta ` +
        `${delta}. Use more noise, fewer steps or a larger delta.`,
    );
  };
  const delta = (events: readonly DpEvent[], epsilon: number): number => {
    check.objects(`${name}.delta`, { events });
    const distance = totalDistance(events);
    if (distance === 0) return accountant.delta(events, epsilon);
    return Math.min(1, accountant.delta(withoutDistance(events), epsilon) + (1 + Math.exp(epsilon)) * distance);
  };
  return { ...accountant, epsilon, delta };
}
