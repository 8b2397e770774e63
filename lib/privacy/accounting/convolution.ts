// Many steps from one: powers of characteristic functions by FFT, with a bound on what rounding did to the result.

import FFT from 'fft.js';
import type { DiscreteLoss } from './discretisation';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

export interface Term {
  readonly loss: DiscreteLoss;
  /** How often it is composed with itself. */
  readonly count: number;
}

export interface Composed {
  /** `mass[k]` is the probability, modulo the window, of the grid index k + `first`. At least 0. */
  readonly mass: Float64Array;
  /** Bound on |computed - true| of each entry. */
  readonly error: number;
}

const transforms = new Map<number, FFT>();

/** Tables are kept for reuse; the larger ones (8 MiB and more) one at a time. */
function transform(size: number): FFT {
  let fft = transforms.get(size);
  if (!fft) {
    if (size >= 2 ** 19) for (const other of transforms.keys()) if (other >= 2 ** 19) transforms.delete(other);
    fft = new FFT(size);
    transforms.set(size, fft);
  }
  return fft;
}

/**
 * The distribution of the sum of independent grid variables, on the window of `size` grid points from `first`.
 * Probability outside the window wraps around, as in every cyclic convolution; the caller charges it.
 *
 * The masses should be tilted towards the window: then rounding, which is relative to the largest entry, is relative to
 * what is asked for, however deep in the tail of the untilted distribution that is.
 *
 * Each characteristic function is computed as F = e^{-iωm} (1 + D), where m is the most likely grid point and D the
 * transform of the other masses minus their sum: D is small where a step changes little, and its error is relative to
 * the other masses. The power F^T = e^{-iωmT} e^{T log(1 + D)} then does not multiply the rounding of 1 by T.
 */
export function convolve(terms: readonly Term[], first: number, size: number): Composed {
  const fft = transform(size);
  const data = new Float64Array(size);
  const spectrum = new Float64Array(2 * size);
  const logSize = new Float64Array(size / 2 + 1); // log |G| and arg G of the sum's characteristic function
  const angle = new Float64Array(size / 2 + 1);
  const winding = new Float64Array(size / 2 + 1); // Σ T |log(1 + D)|: what rounding of the exponent is relative to
  let origin = 0; // grid index of entry 0
  const spread: number[] = []; // norm of the masses besides the most likely one
  for (const { loss, count } of terms) {
    const mode = loss.mass.indexOf(loss.mass.reduce((a, b) => Math.max(a, b)));
    data.fill(0);
    let squares = 0;
    let sum = 0;
    let lost = 0; // Kahan's compensation: D needs the sum to the last digit
    for (let k = 0; k < loss.mass.length; k++) {
      if (k === mode) continue;
      const part = loss.mass[k]!;
      data[modulo(k - mode, size)]! += part;
      squares += part * part;
      const next = sum + (part - lost);
      lost = next - sum - (part - lost);
      sum = next;
    }
    spread.push(Math.sqrt(squares));
    origin += (loss.first + mode) * count;
    fft.realTransform(spectrum, data);
    for (let k = 0; k <= size / 2; k++) {
      const re = spectrum[2 * k]! - sum;
      const im = spectrum[2 * k + 1]!;
      const log = Math.log1p(2 * re + re * re + im * im) / 2;
      const turn = Math.atan2(im, 1 + re);
      logSize[k]! += count * log;
      angle[k]! += count * turn;
      winding[k]! += count * (Math.abs(log) + Math.abs(turn));
    }
  }
  for (let k = 0; k <= size / 2; k++) {
    const absolute = Math.exp(logSize[k]!);
    spectrum[2 * k] = absolute * Math.cos(angle[k]!);
    spectrum[2 * k + 1] = absolute * Math.sin(angle[k]!);
  }
  const error = roundingBound(terms, spread, logSize, winding);
  fft.completeSpectrum(spectrum);
  const sum = new Float64Array(2 * size);
  fft.inverseTransform(sum, spectrum);
  const turn = modulo(first - origin, size);
  for (let k = 0; k < size; k++) data[k] = Math.max(0, sum[2 * ((k + turn) % size)]!);
  return { mass: data, error };
}

function modulo(a: number, n: number): number {
  return ((a % n) + n) % n;
}

/**
 * Bound on the error of each entry of the inverse transform: to first order, and a tenth more. With the unit roundoff u:
 * - a transform of x errs by at most 20 u log2(size) ‖x‖ in norm, twiddle factors from Math.cos included (Higham,
 *   Accuracy and Stability of Numerical Algorithms, Theorem 24.2); the sum subtracted for D errs by 2 u of it, at most 1;
 * - |Π F^T - Π F̂^T| <= Σ_j T_j |ΔD_j| |G / F_j|, and |G / F_j| <= |G|^{1 - 1/T_j}; Cauchy-Schwarz over the frequencies;
 * - log, atan2, the products with T, exp, cos and sin err by 6 u of the exponent and 4 u of the result.
 */
function roundingBound(
  terms: readonly Term[],
  spread: readonly number[],
  logSize: Float64Array,
  winding: Float64Array,
): number {
  const unit = 2 ** -53;
  const half = logSize.length - 1;
  const transformError = 20 * unit * Math.log2(2 * half);
  const exponents = terms.map(({ count }) => 1 - 1 / count);
  const sums = terms.map(() => 0); // Σ |G|^{2 - 2/T_j}
  let squares = 0;
  let exponentError = 0;
  for (let k = 0; k <= half; k++) {
    const times = k === 0 || k === half ? 1 : 2; // the other half of the spectrum mirrors this one
    const log = logSize[k]!;
    if (log < -350) continue; // |G|² underflows
    for (let j = 0; j < sums.length; j++) sums[j]! += times * Math.exp(2 * exponents[j]! * log);
    squares += times * Math.exp(2 * log);
    exponentError += times * Math.exp(log) * (6 * winding[k]! + 4) * unit;
  }
  let error = transformError * Math.sqrt(squares / (2 * half)) + exponentError / (2 * half);
  terms.forEach(({ count }, j) => {
    error += count * (transformError * spread[j]! + 2 * unit) * Math.sqrt(sums[j]! / (2 * half));
  });
  return 1.1 * error;
}
