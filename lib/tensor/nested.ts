// Nested arrays: shape and values of `[[1, 2], [3, 4]]`, and the way back from values in row-major order.

import { raise } from '../errors';
import type { TensorArray } from './dtype';

/** Numbers nested to the depth of a tensor's shape. */
export type Nested = number | Nested[];

/** What `tensor` accepts: numbers, bigints or booleans, nested evenly. */
export type NestedInput = number | bigint | boolean | readonly NestedInput[];

function shapeOf(nested: NestedInput): number[] {
  const shape: number[] = [];
  let level: NestedInput = nested;
  while (Array.isArray(level)) {
    shape.push(level.length);
    level = (level as readonly NestedInput[])[0] ?? 0;
    if (shape.at(-1) === 0) break;
  }
  return shape;
}

/**
 * Shape and flat values of a nested array.
 * @throws ERR_INVALID_ARGUMENT if rows differ in length or a value is no number
 */
export function flatten(nested: NestedInput): { shape: number[]; values: (number | bigint | boolean)[] } {
  const shape = shapeOf(nested);
  const values: (number | bigint | boolean)[] = [];
  const walk = (level: NestedInput, depth: number): void => {
    if (depth === shape.length) {
      const type = typeof level;
      if (type !== 'number' && type !== 'bigint' && type !== 'boolean') {
        raise(
          'ERR_INVALID_ARGUMENT',
          `tensor: expected a number at depth ${depth}, got ${Array.isArray(level) ? 'an array' : type}.`,
        );
      }
      values.push(level as number | bigint | boolean);
      return;
    }
    const length = Array.isArray(level) ? level.length : -1;
    if (length !== shape[depth]) {
      raise(
        'ERR_INVALID_ARGUMENT',
        `tensor: rows must have equal lengths, expected ${shape[depth]} at depth ${depth}, got ${length < 0 ? 'a number' : length}.`,
      );
    }
    for (const item of level as readonly NestedInput[]) walk(item, depth + 1);
  };
  walk(nested, 0);
  return { shape, values };
}

function exact(value: number | bigint): number {
  const number = Number(value);
  if (typeof value === 'bigint' && !Number.isSafeInteger(number)) {
    raise('ERR_INVALID_ARGUMENT', `toArray: ${value} is beyond 2^53 and no exact number; use toTypedArray().`);
  }
  return number;
}

/**
 * Values in row-major order as nested arrays of `shape`.
 * @throws ERR_INVALID_ARGUMENT if a bigint is not exact as a number
 */
export function nest(values: TensorArray, shape: readonly number[]): Nested {
  let next = 0;
  const build = (depth: number): Nested => {
    if (depth === shape.length) return exact(values[next++] as number | bigint);
    return Array.from({ length: shape[depth] as number }, () => build(depth + 1));
  };
  return build(0);
}
