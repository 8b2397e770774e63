// Repeatable test data: normal numbers that float32 holds exactly, so that both precisions see the same values.

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1). mulberry32: quality is of no concern here. */
  uniform(): number {
    let t = (this.#state += 0x6d2b79f5);
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Standard normal times `scale`, rounded to float32. */
  normal(scale = 1): number {
    return Math.fround(scale * Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform()));
  }

  normals(count: number, scale = 1): Float64Array {
    return Float64Array.from({ length: count }, () => this.normal(scale));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }
}

/** How ids repeat within a batch. */
export type Repetition = 'distinct' | 'few' | 'equal' | 'padding';

/** `rows` ids below `vocabulary`; padding is id 0. */
export function makeIds(kind: Repetition, rows: number, vocabulary: number, below: (n: number) => number): number[] {
  const one = below(vocabulary);
  return Array.from({ length: rows }, (_, t) => {
    if (kind === 'distinct') return t % vocabulary;
    if (kind === 'few') return below(Math.min(3, vocabulary));
    return kind === 'equal' ? one : 0;
  });
}
