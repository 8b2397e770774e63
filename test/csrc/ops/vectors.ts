// Reads the reference vectors and turns their rows into tensors.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Tensor, tensor } from '../../../lib/tensor';

export { ints } from './book';

/** The two precisions with the tolerances of the vectors' README: relative on squared norms, absolute on sums. */
export const PRECISIONS = [
  { dtype: 'float64', norm2: 1e-11, cancelling: 1e-12, sum: 1e-11 },
  { dtype: 'float32', norm2: 1e-5, cancelling: 1e-5, sum: 1e-5 },
] as const;

export type Dtype = (typeof PRECISIONS)[number]['dtype'];

/** The parsed file `name` of test/fixtures/vectors; `"nan"` and `"inf"` strings stay strings. */
export function vectors(name: string): unknown {
  return JSON.parse(readFileSync(join(__dirname, '../../fixtures/vectors', name), 'utf8')) as unknown;
}

/** A number, or what the files write for one that JSON has not. */
export function number(value: number | string): number {
  if (typeof value === 'number') return value;
  return { inf: Infinity, '-inf': -Infinity, nan: NaN }[value] ?? raiseUnknown(value);
}

function raiseUnknown(value: string): never {
  throw new Error(`not a number: ${value}`);
}

/** Rows [n, width] as a tensor; `width` matters when there are no rows. */
export function rows(
  values: readonly (readonly (number | string)[])[],
  width: number,
  dtype: Dtype = 'float64',
): Tensor {
  return tensor(Float64Array.from(values.flat(), number), { dtype, shape: [values.length, width] });
}
