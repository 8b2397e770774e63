// The contour integral for δ(ε) along one vertical line, by adaptive quadrature.
//
//   δ(ε) = 1/(2πi) ∫_{Re s = c} e^{Λ(s) - sε} / (s (s + 1)) ds = e^{Λ(c) - cε}/π ∫_0^∞ Re[…] dt,   s = c + it

import { raise } from '../../errors';
import { complexCumulant, cumulantOf, type Direction } from './cumulant';
import type { Composition } from './composition';
import { integrate, type Pair } from './quadrature';
import { erfc } from './special';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/** Relative accuracy asked of the integral. */
const RELATIVE = 1e-11;

/** The part of the integral of |integrand| below which the integral is too much rounding: leaves seven digits. */
const RESOLUTION = 1e-8;

/** A tail that turns this often within one octave can be cut by a fade: e^{-(170/12)²/4} = 2e-22. */
const TAPER_PHASE = 170;

/** Evaluations of the moment generating function after which the integral counts as out of reach (a few seconds). */
const MOST_NODES = 60_000;

/**
 * The integral along Re s = c, for any ε; the moment generating function is computed once a node.
 * `logCut` as in {@link cumulantOf}: only where {@link abscissa} found that nothing lies at the cut.
 */
export class Contour {
  readonly #known = new Map<number, Pair>();
  readonly #cumulant: (t: number) => Pair;
  readonly #log: number; // Λ(c)
  readonly #width: number; // scale of t on which the integrand first changes

  constructor(
    composed: Composition,
    direction: Direction,
    readonly c: number,
    readonly logCut: number,
  ) {
    const { log, variance } = cumulantOf(composed, direction, logCut).at(c);
    this.#log = log;
    this.#width = 1 / Math.sqrt(variance + 1 / (c * c));
    this.#cumulant = complexCumulant(composed, direction, c, logCut);
  }

  /** log of the factor e^{Λ(c) - cε} in front of the integral. */
  logSize(epsilon: number): number {
    return this.#log - this.c * epsilon;
  }

  /** log δ(ε) and its derivative; unresolved, an upper bound of it. @throws ERR_ACCOUNTING */
  logDelta(epsilon: number): Value {
    const { c } = this;
    const scale = this.#width / (c * (c + 1)); // the integral is of this order
    let from = 0;
    let to = 2 * this.#width;
    let delta = 0;
    let slope = 0;
    let gross = 0;
    for (let quiet = 0; quiet < 2;) {
      const taper = this.#turns(from, epsilon) > TAPER_PHASE;
      const tolerance = RELATIVE * Math.max(Math.abs(delta), 0.1 * scale);
      const part = integrate((t) => this.#integrand(t, epsilon, taper ? from : to), from, to, tolerance, 24);
      delta += part.value[0];
      slope += part.value[1];
      gross += part.gross;
      if (taper) break;
      quiet = part.peak * to <= tolerance ? quiet + 1 : 0;
      from = to;
      to *= 2;
    }
    // Where the privacy loss is a lump with a rare far tail, no contour comes near δ: what is left is rounding.
    const resolved = delta > RESOLUTION * gross;
    const size = this.logSize(epsilon) - Math.log(Math.PI);
    if (!resolved) return { value: size + Math.log(RESOLUTION * gross), slope: -c, resolved };
    // Where δ is nearly 1 its slope may drown in rounding.
    return { value: size + Math.log(delta), slope: slope > 0 ? -slope / delta : -c, resolved };
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

export interface Value {
  readonly value: number;
  readonly slope: number;
  readonly resolved: boolean;
}

export function giveUp(): never {
  return raise(
    'ERR_ACCOUNTING',
    'exact: the contour integral does not converge for these events. Use the accountant pld, an upper bound.',
  );
}
