// The exact accountant: delta(epsilon) as a contour integral of the moment generating function, by quadrature.
//
//   δ(ε) = 1/(2πi) ∫_{Re s = c} e^{Λ(s) - sε} / (s (s + 1)) ds,   Λ(s) = log E_P[e^{sL}],   c > 0
// Nothing is discretised but the integral, so small q, many steps and tiny δ cost no accuracy: about 1e-10 relative.
// It is the yardstick of the other accountants. It carries no proof of being an upper bound: statements quote `pld`.

import { raise } from '../../errors';
import { abscissa } from './abscissa';
import { type Accountant, checkDelta, checkEpsilon, finite } from './accountant';
import { bestTilt, complexCumulant, cumulantOf, type Direction, DIRECTIONS, largestLoss } from './cumulant';
import { type Composition, composition, type DpEvent } from './events';
import { gaussianEpsilon, gaussianLogDelta } from './gaussian';
import { integrate, type Pair } from './quadrature';
import { isEmpty } from './rdp';
import { increasingRoot } from './root';
import { erfc } from './special';
import { oneStepEpsilon, oneStepLogDelta } from './step';

/** Relative accuracy asked of the integral. */
const RELATIVE = 1e-11;

/** The part of the integrand's size below which the integral is rounding. */
const RESOLUTION = 1e-10;

/** A tail that turns this often within one octave can be cut by a fade: e^{-(170/12)²/4} = 2e-22. */
const TAPER_PHASE = 170;

/** Evaluations of the moment generating function after which the integral counts as out of reach (a few seconds). */
const MOST_NODES = 60_000;

/**
 * The exact accountant.
 *
 * @example exact().epsilon([poissonGaussian(0.01, 1, 1000)], 1e-5)
 * @throws ERR_ACCOUNTING where the integral does not converge in reasonable time (very few, very rare participations).
 */
export function exact(): Accountant {
  return {
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
  };
}

/** True where a closed form answers: nothing but Gaussians, or a single sampled step. */
export function hasClosedForm({ mu, sampled }: Composition): boolean {
  return sampled.length === 0 || (mu === 0 && sampled.length === 1 && sampled[0]!.count === 1);
}

/** log δ(ε) in one direction. */
export function exactLogDelta(composed: Composition, direction: Direction, epsilon: number): number {
  const { mu, sampled } = composed;
  if (isEmpty(composed) || epsilon >= largestLoss(composed, direction)) return -Infinity;
  if (sampled.length === 0) return gaussianLogDelta(mu, epsilon);
  if (hasClosedForm(composed)) return oneStepLogDelta(sampled[0]!, direction, epsilon);
  const c = abscissa(cumulantOf(composed, direction), epsilon);
  const { value, resolved } = new Contour(composed, direction, c).logDelta(epsilon);
  return resolved ? value : giveUp();
}

/** The smallest ε >= 0 with δ(ε) <= exp(logDelta), in one direction. */
export function exactEpsilon(composed: Composition, direction: Direction, logDelta: number): number {
  const { mu, sampled } = composed;
  if (isEmpty(composed)) return 0;
  if (sampled.length === 0) return gaussianEpsilon(mu, logDelta);
  if (hasClosedForm(composed)) return oneStepEpsilon(sampled[0]!, direction, logDelta);
  if (exactLogDelta(composed, direction, 0) <= logDelta) return 0;
  const cumulant = cumulantOf(composed, direction);
  const high = Math.min(bestTilt(cumulant, logDelta).epsilon, largestLoss(composed, direction));
  let contour: Contour | undefined;
  return increasingRoot(
    (epsilon) => {
      // Contours near the saddle point are equally good: a new one only when it has moved by a quarter.
      const c = abscissa(cumulant, epsilon);
      if (!contour || Math.abs(Math.log(c / contour.c)) > 0.25) contour = new Contour(composed, direction, c);
      const { value, slope, resolved } = contour.logDelta(epsilon);
      if (!resolved && value > logDelta) giveUp();
      return [logDelta - value, -slope];
    },
    { start: high * 0.95, low: 0, high, tolerance: 1e-12 * high },
  );
}

/** The integral along Re s = c, for any ε; the moment generating function is computed once a node. */
class Contour {
  readonly #known = new Map<number, Pair>();
  readonly #cumulant: (t: number) => Pair;
  readonly #log: number; // Λ(c)
  readonly #width: number; // scale of t on which the integrand first changes

  constructor(
    composed: Composition,
    direction: Direction,
    readonly c: number,
  ) {
    const { log, variance } = cumulantOf(composed, direction).at(c);
    this.#log = log;
    this.#width = 1 / Math.sqrt(variance + 1 / (c * c));
    this.#cumulant = complexCumulant(composed, direction, c);
  }

  /** log δ(ε) and its derivative; unresolved, an upper bound of it. @throws ERR_ACCOUNTING */
  logDelta(epsilon: number): Value {
    const { c } = this;
    const scale = this.#width / (c * (c + 1)); // the integral is of this order
    let from = 0;
    let to = 2 * this.#width;
    let delta = 0;
    let slope = 0;
    for (let quiet = 0; quiet < 2;) {
      const taper = this.#turns(from, epsilon) > TAPER_PHASE;
      const tolerance = RELATIVE * Math.max(Math.abs(delta), 0.1 * scale);
      const { value, peak } = integrate((t) => this.#integrand(t, epsilon, taper ? from : to), from, to, tolerance, 24);
      delta += value[0];
      slope += value[1];
      if (taper) break;
      quiet = peak * to <= tolerance ? quiet + 1 : 0;
      from = to;
      to *= 2;
    }
    // Where the privacy loss is a lump with a rare far tail, no contour comes near δ: what is left is rounding.
    const resolved = delta > RESOLUTION * scale && slope > 0;
    const size = this.#log - c * epsilon - Math.log(Math.PI);
    if (!resolved) return { value: size + Math.log(RESOLUTION * scale), slope: -c, resolved };
    return { value: size + Math.log(delta), slope: -slope / delta, resolved };
  }

  /** Real parts of e^{…}/(s(s+1)) and e^{…}/(s+1): δ and -δ' without the factor e^{Λ(c) - cε} / π; fades out from `fade` on. */
  #integrand(t: number, epsilon: number, fade: number): Pair {
    const { c } = this;
    const [logSize, angle] = this.#at(t);
    const size = Math.exp(logSize) * (t <= fade ? 1 : erfc((12 * t) / fade - 18) / 2);
    const re = size * Math.cos(angle - t * epsilon);
    const im = size * Math.sin(angle - t * epsilon);
    const norm = (c + 1) ** 2 + t * t;
    const r1 = (re * (c + 1) + im * t) / norm; // e^{…} / (s + 1)
    const i1 = (im * (c + 1) - re * t) / norm;
    return [(r1 * c + i1 * t) / (c * c + t * t), r1];
  }

  /**
   * Radians that the integrand turns through from t to 2t at its present frequency.
   *
   * Where a record is rarely sampled, the privacy loss has a narrow lump and the integrand decays like 1/t² only, but as
   * a pure oscillation: ε lies off the lump. Such a tail contributes nothing but the error of where it is cut, and a
   * smooth fade over [t, 2t] cuts it with an error of about e^{-(turns/12)²/4}.
   */
  #turns(t: number, epsilon: number): number {
    if (t === 0) return 0;
    const step = 1e-7 * t;
    const change = this.#cumulant(t + step)[1] - this.#cumulant(t)[1] - step * epsilon;
    return Math.abs(Math.sin(change)) * 1e7;
  }

  /** Λ(c + it) - Λ(c) as [log of the size, angle]. */
  #at(t: number): Pair {
    let value = this.#known.get(t);
    if (!value) {
      if (this.#known.size >= MOST_NODES) giveUp();
      const [log, angle] = this.#cumulant(t);
      value = [log - this.#log, angle];
      this.#known.set(t, value);
    }
    return value;
  }
}

interface Value {
  readonly value: number;
  readonly slope: number;
  readonly resolved: boolean;
}

function giveUp(): never {
  return raise(
    'ERR_ACCOUNTING',
    'exact: the contour integral does not converge for these events. Use the accountant pld, an upper bound.',
  );
}
