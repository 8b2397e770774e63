// The window of a grid: where a tilted sum of privacy losses lies but for a chosen probability.

import type { Cumulant } from './cumulant';

export interface WindowOptions {
  /** The cumulant function without the outputs that are cut off. */
  readonly cumulant: Cumulant;
  readonly tilt: number;
  /** Tilted probability e^{-tail} that the window may leave out on each side. */
  readonly tail: number;
}

export interface Window {
  readonly low: number;
  readonly high: number;
  /** The tilt s + r at which the Chernoff bound on the upper end was smallest. */
  readonly upperTilt: number;
  /** The tilt s - r at which the one on the lower end was largest. */
  readonly lowerTilt: number;
}

/** Where the tilted sum lies but for a probability e^{-tail} on each side, by Chernoff's bound over a few tilts. */
export function windowOf({ cumulant, tilt: s, tail }: WindowOptions): Window {
  const centre = cumulant.at(s);
  const scale = Math.sqrt((2 * tail) / centre.variance);
  let low = -Infinity;
  let high = Infinity;
  let upperTilt = s;
  let lowerTilt = s;
  for (const factor of [1 / 16, 1 / 8, 1 / 4, 1 / 2, 0.71, 1, 1.41, 2]) {
    const r = scale * factor;
    const above = (cumulant.at(s + r).log - centre.log + tail) / r;
    if (above < high) [high, upperTilt] = [above, s + r];
    const below = (centre.log - cumulant.at(s - r).log - tail) / r;
    if (below > low) [low, lowerTilt] = [below, s - r];
  }
  return { low, high, upperTilt, lowerTilt };
}
