// Uniform choices: whole numbers, subsets and permutations from a source of uniforms.

import type { RandomSource } from './csprng';

/**
 * Exactly uniform on 0..bound-1, for a bound up to 2^31: of the 2^53 values of a uniform those beyond the last multiple of `bound`
 * are drawn again.
 */
export function below(bound: number, random: RandomSource): number {
  const lattice = 2 ** 53;
  const limit = lattice - (lattice % bound);
  for (;;) {
    const draw = random.uniform() * lattice - 1; // 0 … 2^53 - 1, exact
    if (draw < limit) return draw % bound;
  }
}

/** The first `count` places of a uniform permutation of `items`, in place (Fisher and Yates). */
export function shuffleFirst(items: Int32Array, count: number, random: RandomSource): void {
  for (let i = 0; i < count; i++) {
    const j = i + below(items.length - i, random);
    const moved = items[i] as number;
    items[i] = items[j] as number;
    items[j] = moved;
  }
}

/** 0..records-1. */
export function allRecords(records: number): Int32Array {
  return Int32Array.from({ length: records }, (_, id) => id);
}

/** A uniform choice of `count` of the items, ascending. */
export function uniformSubset(items: Int32Array, count: number, random: RandomSource): Int32Array {
  const copy = Int32Array.from(items);
  shuffleFirst(copy, Math.min(count, copy.length), random);
  return copy.slice(0, count).sort();
}

/** `count` of 0..records-1, uniformly and ascending, in O(count): Floyd's algorithm (Bentley 1987). */
export function uniformRecords(records: number, count: number, random: RandomSource): Int32Array {
  const chosen = new Set<number>();
  for (let last = records - count; last < records; last++) {
    const candidate = below(last + 1, random);
    chosen.add(chosen.has(candidate) ? last : candidate);
  }
  return Int32Array.from(chosen).sort();
}
