// Many steps from one: powers of characteristic functions by FFT, with a bound on what rounding did to the result.

import FFT from 'fft.js';
import type { DiscreteLoss } from './discretisation';

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
 * Rounding, to first order and doubled (Higham, Accuracy and Stability of Numerical Algorithms, Theorem 24.2, with the
 * unit roundoff u): a transform of x errs by at most 20 u log2(size) ‖x‖ in norm, twiddle factors from Math.cos
 * included; a power T multiplies the relative error of a factor by T and adds 3u T of its own.
 */
export function convolve(terms: readonly Term[], first: number, size: number): Composed {
  const fft = transform(size);
  const data = new Float64Array(size);
  const spectrum = new Float64Array(2 * size);
  const product = new Float64Array(2 * size);
  let origin = 0; // grid index of entry 0, modulo size
  for (let k = 0; k <= size; k += 2) product[k] = 1;
  for (const { loss, count } of terms) {
    data.fill(0);
    for (let k = 0; k < loss.mass.length; k++) data[k % size]! += loss.mass[k]!;
    origin += loss.first * count;
    fft.realTransform(spectrum, data);
    multiplyPower(product, spectrum, count, size);
  }
  const error = roundingBound(terms, product, size);
  fft.completeSpectrum(product);
  fft.inverseTransform(spectrum, product);
  const mass = data;
  const turn = first - origin;
  for (let k = 0; k < size; k++) mass[k] = Math.max(0, spectrum[2 * modulo(k + turn, size)]!);
  return { mass, error };
}

function modulo(a: number, n: number): number {
  return ((a % n) + n) % n;
}

/** product *= spectrum^count for the frequencies 0 … size/2, by repeated squaring. */
function multiplyPower(product: Float64Array, spectrum: Float64Array, count: number, size: number): void {
  for (let k = 0; k <= size; k += 2) {
    let re = spectrum[k]!;
    let im = spectrum[k + 1]!;
    let productRe = product[k]!;
    let productIm = product[k + 1]!;
    for (let power = count; ;) {
      if (power % 2 === 1) {
        const next = productRe * re - productIm * im;
        productIm = productRe * im + productIm * re;
        productRe = next;
      }
      power = Math.floor(power / 2);
      if (power === 0) break;
      const square = re * re - im * im;
      im = 2 * re * im;
      re = square;
    }
    product[k] = productRe;
    product[k + 1] = productIm;
  }
}

/** Bound on the error of each entry of the inverse transform of `product`, the characteristic function of the sum. */
function roundingBound(terms: readonly Term[], product: Float64Array, size: number): number {
  const unit = 2 ** -53;
  const transformError = 20 * unit * Math.log2(size);
  // |Π F^T - Π F̂^T| <= Σ_j T_j |ΔF_j| |G / F_j|, and |G / F_j| <= |G|^{1 - 1/T_j}; Cauchy-Schwarz over the frequencies.
  let error = 0;
  let count = 0;
  for (const { loss, count: times } of terms) {
    const norm = Math.sqrt(loss.mass.reduce((sum, p) => sum + p * p, 0));
    error += times * transformError * norm * rootMeanSquare(product, size, 1 - 1 / times);
    count += times;
  }
  error += (3 * unit * count + transformError) * rootMeanSquare(product, size, 1);
  return 2 * error;
}

/** sqrt of the mean of |G|^{2 exponent} over all frequencies, from the first half of the spectrum. */
function rootMeanSquare(product: Float64Array, size: number, exponent: number): number {
  let sum = 0;
  for (let k = 0; k <= size; k += 2) {
    const power = (product[k]! ** 2 + product[k + 1]! ** 2) ** exponent;
    sum += k === 0 || k === size ? power : 2 * power;
  }
  return Math.sqrt(sum / size);
}
