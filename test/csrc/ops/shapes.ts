// Generated batches: ragged, empty, single rows, odd sizes beside round ones.

import { fc } from '@fast-check/jest';
import type { Repetition } from './random';

/** Rows of each sample; a batch may be empty, a sample too. */
function lengths(longest: number): fc.Arbitrary<number[]> {
  const length = fc.oneof(
    {
      arbitrary: fc.constantFrom(...[0, 1, 1, 2, 3, 5, 8, 17, 64, 65, 123, 128].filter((n) => n <= longest)),
      weight: 3,
    },
    { arbitrary: fc.integer({ min: 0, max: Math.min(longest, 12) }), weight: 2 },
  );
  return fc.array(length, { minLength: 0, maxLength: 5 });
}

/** `[B + 1]` offsets of samples with at most `longest` rows each. */
export function offsets(longest = 128): fc.Arbitrary<number[]> {
  return lengths(longest).map((all) => all.reduce((at, n) => [...at, at[at.length - 1]! + n], [0]));
}

export const seed = fc.integer({ min: 0, max: 2 ** 31 });
export const width = fc.constantFrom(1, 3, 8, 64, 65);
export const dtype = fc.constantFrom('float64' as const, 'float32' as const);

export const repetition = fc.constantFrom<Repetition>('distinct', 'few', 'equal', 'padding');

/** The seed of the run (test/fixtures/properties.cjs), for properties whose failures should name it. */
export const SEEDED = { seed: Number(process.env.PHANTOMGRAD_PROPERTY_SEED) } as const;
