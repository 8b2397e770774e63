// A composed privacy loss on its grid, under its tilt: from masses to bounds on ε and δ.

import { logAddExp } from './special';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

export interface TiltedSum {
  readonly mass: Float64Array;
  readonly first: number;
  readonly width: number;
  readonly tilt: number;
  /** log of the norm of the tilted masses. */
  readonly log: number;
  /** Rounding charge, in units of e^{log - sε}; negative in a bound from below. */
  readonly rounding: number;
  /** log of the charges that do not depend on ε. */
  readonly logRest: number;
}

/**
 * Walks down the grid. With f = Σ_{l>=g} p_l e^{-s(l-g)} (1 - e^{-(l-g)}) and w = Σ_{l>=g} p_l e^{-(s+1)(l-g)} at grid
 * point g, δ(g) = e^{log - sg} f; one step down gives f' = e^{-sh} (f + (1 - e^{-h}) w), all terms positive.
 *
 * @param least  No smaller ε is asked for. Default 0.
 * @returns The smallest ε >= `least` whose bound is at most exp(logDelta); undefined when there is none in the window.
 */
export function smallestEpsilon(sum: TiltedSum, logDelta: number, least = 0): number | undefined {
  const { mass, first, width: h, tilt: s, log, rounding, logRest } = sum;
  if (logRest >= logDelta) return undefined;
  const logLeft = logDelta + Math.log(-Math.expm1(logRest - logDelta)); // δ minus the constant charges
  const decay = Math.exp(-s * h);
  const decay1 = Math.exp(-(s + 1) * h);
  const rise = -Math.expm1(-h);
  let f = 0;
  let w = 0;
  for (let k = mass.length - 1; k >= 0; k--) {
    const grid = (first + k) * h;
    const nextF = decay * (f + rise * w);
    if (log - s * grid + Math.log(nextF + rounding) > logLeft) {
      if (k === mass.length - 1) return undefined;
      // Between grid and grid + h: δ(grid + h - x) = e^{log - s (grid + h)} (f + w (1 - e^{-x})), plus the charge.
      const room = Math.exp(logLeft - log + s * (grid + h)) - f - rounding / decay;
      return room <= 0 ? grid + h : grid + h + Math.log1p(-Math.min(room / w, rise));
    }
    if (grid <= least) return least;
    f = nextF;
    w = mass[k]! + decay1 * w;
  }
  return first * h;
}

/**
 * The largest grid point at which δ is certainly above exp(logDelta), the charge `rounding` being negative; -Infinity when none is.
 * With δ as a lower bound, ε lies above that point.
 */
export function certainEpsilon(sum: TiltedSum, logDelta: number): number {
  const { mass, first, width: h, tilt: s, log, rounding } = sum;
  const decay = Math.exp(-s * h);
  const decay1 = Math.exp(-(s + 1) * h);
  const rise = -Math.expm1(-h);
  let f = 0;
  let w = 0;
  for (let k = mass.length - 1; k >= 0; k--) {
    const grid = (first + k) * h;
    f = decay * (f + rise * w);
    w = mass[k]! + decay1 * w;
    if (f + rounding > 0 && log - s * grid + Math.log(f + rounding) > logDelta) return grid;
  }
  return -Infinity;
}

/** The bound on log δ(ε). */
export function boundAt(sum: TiltedSum, epsilon: number): number {
  const { mass, first, width: h, tilt: s, log, rounding, logRest } = sum;
  // Below the window nothing is known but δ <= 1: its masses have wrapped around.
  if (epsilon < first * h) return 0;
  let f = 0;
  for (let k = mass.length - 1; k >= 0; k--) {
    const above = (first + k) * h - epsilon;
    if (above <= 0) break;
    f += mass[k]! * Math.exp(-s * above) * -Math.expm1(-above);
  }
  return logAddExp(log - s * epsilon + Math.log(Math.max(0, f + rounding)), logRest);
}

/** log Σ mass_k e^{r l_k}, without overflow. */
export function logMean(mass: Float64Array, start: number, width: number, r: number): number {
  let result = -Infinity;
  let block = 0;
  const top = start + (mass.length - 1) * width;
  for (let k = 0; k < mass.length; k++) block += mass[k]! * Math.exp(r * (start + k * width - top));
  result = Math.log(block) + r * top;
  return result;
}
