// The exact accountant: delta(epsilon) as a contour integral of the moment generating function, by quadrature.
//
//   δ(ε) = 1/(2πi) ∫_{Re s = c} e^{Λ(s) - sε} / (s (s + 1)) ds,   Λ(s) = log E_P[e^{sL}],   c > 0
// Nothing is discretised but the integral, so small q, many steps and tiny δ cost no accuracy: about 1e-10 relative.
// It is the yardstick of the other accountants. It carries no proof of being an upper bound: statements quote `pld`.

import { raise } from '../../errors';
import { abscissa } from './abscissa';
import { type Accountant, checkDelta, checkEpsilon, finite } from './accountant';
import { Contour, giveUp } from './contour';
import { bestTilt, bestTiltAt, cumulantOf, type Direction, DIRECTIONS, largestLoss, logPeak } from './cumulant';
import { type Composition, composition, isEmpty } from './composition';
import { allowingDistance } from './distance';
import { gaussianEpsilon, gaussianLogDelta } from './gaussian';
import { increasingRoot } from './root';
import { oneStepEpsilon, oneStepLogDelta } from './step';

const LEAST_NOISE = 0.05;

/**
 * The exact accountant.
 *
 * @example exact().epsilon([poissonGaussian(0.01, 1, 1000)], 1e-5)
 * @throws ERR_ACCOUNTING where the integral does not converge in reasonable time (very few, very rare participations;
 *   noise multipliers below 0.05).
 */
export function exact(): Accountant {
  return allowingDistance({
    name: 'exact',
    epsilon(events, delta) {
      checkDelta('exact.epsilon', delta);
      const composed = composition(events);
      const values = DIRECTIONS.map((direction) => exactEpsilon(composed, direction, Math.log(delta)));
      return finite('exact.epsilon', Math.max(...values));
    },
    delta(events, epsilon) {
      checkEpsilon('exact.delta', epsilon);
      const composed = composition(events);
      const values = DIRECTIONS.map((direction) => Math.exp(exactLogDelta(composed, direction, epsilon)));
      return finite('exact.delta', Math.min(1, Math.max(...values)));
    },
  });
}

/** True where a closed form answers: nothing but Gaussians, or a single sampled step. */
export function hasClosedForm({ mu, sampled, others }: Composition): boolean {
  if (others.length > 0) return false;
  return sampled.length === 0 || (mu === 0 && sampled.length === 1 && sampled[0]!.count === 1);
}

/** log δ(ε) in one direction. @throws ERR_ACCOUNTING */
export function exactLogDelta(composed: Composition, direction: Direction, epsilon: number): number {
  const { mu, sampled } = composed;
  if (isEmpty(composed) || epsilon >= largestLoss(composed, direction)) return -Infinity;
  refuseOthers(composed);
  if (sampled.length === 0) return gaussianLogDelta(mu, epsilon);
  if (hasClosedForm(composed)) return oneStepLogDelta(sampled[0]!, direction, epsilon);
  refuseSmallNoise(composed);
  // What may be cut off depends on δ: Chernoff's bound, sharpened by the cut that it allows.
  let logDelta = 0;
  for (let round = 0; round < 3; round++) {
    const cumulant = cumulantOf(composed, direction, cutFor(composed, logDelta));
    const s = bestTiltAt(cumulant, epsilon);
    logDelta = Math.min(logDelta, cumulant.at(s).log - s * epsilon + logPeak(s));
  }
  const { c, logCut } = abscissa(composed, direction, epsilon, cutFor(composed, logDelta));
  const { value, resolved } = new Contour(composed, direction, c, logCut).logDelta(epsilon);
  return resolved ? Math.min(0, value) : giveUp();
}

/** The smallest ε >= 0 with δ(ε) <= exp(logDelta), in one direction. @throws ERR_ACCOUNTING */
export function exactEpsilon(composed: Composition, direction: Direction, logDelta: number): number {
  const { mu, sampled } = composed;
  if (isEmpty(composed)) return 0;
  refuseOthers(composed);
  if (sampled.length === 0) return gaussianEpsilon(mu, logDelta);
  if (hasClosedForm(composed)) return oneStepEpsilon(sampled[0]!, direction, logDelta);
  refuseSmallNoise(composed);
  if (exactLogDelta(composed, direction, 0) <= logDelta) return 0;
  const cut = cutFor(composed, logDelta);
  const bound = Math.min(
    bestTilt(cumulantOf(composed, direction), logDelta).epsilon,
    bestTilt(cumulantOf(composed, direction, cut), logDelta).epsilon,
  );
  const high = Math.min(bound, largestLoss(composed, direction));
  let contour: Contour | undefined;
  return increasingRoot(
    (epsilon) => {
      // Contours near the saddle point are equally good: a new one only where the integrand would be a lot smaller.
      const { c, log, logCut } = abscissa(composed, direction, epsilon, cut);
      const reusable = contour && contour.logCut === logCut && contour.logSize(epsilon) <= log - c * epsilon + 0.5;
      if (!contour || !reusable) contour = new Contour(composed, direction, c, logCut);
      const { value, slope, resolved } = contour.logDelta(epsilon);
      if (!resolved && value > logDelta) giveUp();
      return [resolved ? logDelta - value : Math.max(1, logDelta - value), -slope];
    },
    { start: high * 0.95, low: 0, high, tolerance: 1e-12 * high, reach: high },
  );
}

function refuseOthers({ others }: Composition): void {
  if (others.length === 0) return;
  raise(
    'ERR_ACCOUNTING',
    'exact: known for gaussian and poissonGaussian events with neighbours addRemove or zeroOut only. Use the accountant pld.',
  );
}

/** The integrand then has hundreds of thousands of nodes, which take minutes. */
function refuseSmallNoise({ sampled }: Composition): void {
  if (sampled.every(({ sigma }) => sigma >= LEAST_NOISE)) return;
  raise('ERR_ACCOUNTING', `exact: takes noise multipliers of at least ${LEAST_NOISE}. Use the accountant pld.`);
}

/** log of the P-mass that each step may lose at its end without changing δ: together e^{-40} of it. */
function cutFor({ mu, sampled }: Composition, logDelta: number): number {
  return logDelta - Math.log(sampled.reduce((sum, { count }) => sum + count, mu > 0 ? 1 : 0)) - 40;
}
