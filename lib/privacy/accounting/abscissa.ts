// Where the contour of the exact accountant crosses the real axis: nearly the saddle point of e^{Λ(s) - sε}.

import { type Cumulant, cumulantOf, cutIsClean, type Direction, saddlePoint } from './cumulant';
import type { Composition } from './composition';

export interface Abscissa {
  readonly c: number;
  /** Λ(c). */
  readonly log: number;
  /** Which outputs are left out of Λ; -Infinity for none. */
  readonly logCut: number;
}

/**
 * The best abscissa for ε. `logCut` says which outputs are too rare to matter for δ: where they are cleanly separated
 * from the others under the tilt, they are left out of Λ, whose saddle point they would otherwise hold back.
 */
export function abscissa(composed: Composition, direction: Direction, epsilon: number, logCut: number): Abscissa {
  if (direction === 'remove') {
    const cumulant = cumulantOf(composed, direction, logCut);
    const c = saddlePoint(cumulant, epsilon);
    if (cutIsClean(composed, c, logCut)) return { c, log: cumulant.at(c).log, logCut };
  }
  const cumulant = cumulantOf(composed, direction);
  const c = leftOfTail(cumulant, epsilon);
  return { c, log: cumulant.at(c).log, logCut: -Infinity };
}

/**
 * The saddle point, or a little left of it where a rare far tail of the privacy loss takes over just there. To its left
 * everything is smooth, and the integrand larger by a factor e^4 at most.
 */
function leftOfTail(cumulant: Cumulant, epsilon: number): number {
  let c = saddlePoint(cumulant, epsilon);
  const size = (s: number, log: number): number => log - s * epsilon - Math.log(s * (s + 1));
  let here = cumulant.at(c);
  const most = size(c, here.log) + 4;
  for (;;) {
    const left = cumulant.at(0.9 * c);
    if (left.variance > here.variance / 4 || size(0.9 * c, left.log) > most) return c;
    c *= 0.9;
    here = left;
  }
}
