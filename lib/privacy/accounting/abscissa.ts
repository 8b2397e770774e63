// The point of the real axis around which a composition is best looked at: nearly the saddle point of e^{Λ(s) - sε}.

import { type Cumulant, saddlePoint } from './cumulant';

/**
 * Where the contour of the exact accountant crosses the real axis: the saddle point, or a little left of it where a rare
 * far tail of the privacy loss takes over just there. To its left everything is smooth, and the integrand larger by a factor e^4 at most.
 */
export function abscissa(cumulant: Cumulant, epsilon: number): number {
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
