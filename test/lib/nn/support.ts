// Small helpers of the nn tests: numbers of a tensor, float64 inputs from a seed, closeness.

import { Initializer, Segments } from '../../../lib/nn';
import type { Tensor } from '../../../lib/tensor';

/** Values in row-major order as numbers. */
export function numbers(tensor: Tensor): number[] {
  return Array.from(tensor.toTypedArray() as Float64Array, Number);
}

/** Random float64 tensors, different at every call, the same in every run. */
export function sampler(seed: number): (...shape: number[]) => Tensor {
  const init = new Initializer(seed);
  return (...shape) => init.normal(shape, 1, 'float64');
}

/** The largest absolute difference. */
export function apart(a: Tensor, b: Tensor): number {
  expect(a.shape).toEqual(b.shape);
  const other = numbers(b);
  return numbers(a).reduce((most, value, i) => Math.max(most, Math.abs(value - (other[i] as number))), 0);
}

/** Segments of the given lengths; sample b has key `keys[b]`. */
export function ragged(
  lengths: readonly number[],
  { keys, step = 0 }: { keys?: number[]; step?: number } = {},
): Segments {
  const offsets = [0];
  for (const length of lengths) offsets.push((offsets.at(-1) as number) + length);
  return new Segments(BigInt64Array.from(offsets, BigInt), keys, step, 0);
}
