// A small generator of pseudo-random numbers that gives the same numbers on every platform. For made-up data, never for privacy.

/** xoshiro128** (Blackman, Vigna 2018), state filled by splitmix32 from a seed and a stream number. */
export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /**
   * @param seed  Whole number; its low 32 bits count.
   * @param stream  Another number gives an independent sequence under the same seed.
   */
  constructor(seed: number, stream = 0) {
    let state = (Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b)) >>> 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return (z ^ (z >>> 15)) >>> 0;
    };
    [this.#a, this.#b, this.#c, this.#d] = [next(), next(), next(), next() | 1]; // the state must not be all zero
  }

  /** Uniform on 0 … 2^32 - 1. */
  uint32(): number {
    const result = Math.imul(rotate(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = rotate(this.#d, 11);
    return result;
  }

  /** Uniform on [0, 1) with 32 bits. */
  uniform(): number {
    return this.uint32() / 2 ** 32;
  }

  /** Uniform whole number on 0 … n - 1 (n far below 2^32, so the bias of scaling does not matter here). */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Fisher-Yates, in place. */
  shuffle(values: Int32Array): Int32Array {
    for (let k = values.length - 1; k > 0; k--) {
      const other = this.below(k + 1);
      [values[k], values[other]] = [values[other] as number, values[k] as number];
    }
    return values;
  }
}

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}

/** Index k with probability proportional to its share, given the running sums of the shares (the last one is the total). */
export function pick(cumulative: Float64Array, random: Prng): number {
  const point = random.uniform() * (cumulative[cumulative.length - 1] as number);
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((cumulative[middle] as number) > point) high = middle;
    else low = middle + 1;
  }
  return low;
}

export function cumulate(shares: ArrayLike<number>): Float64Array {
  const sums = new Float64Array(shares.length);
  let total = 0;
  for (let k = 0; k < shares.length; k++) sums[k] = total += shares[k] as number;
  return sums;
}
