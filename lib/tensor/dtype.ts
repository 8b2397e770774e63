// Element types, and which typed array carries each of them across the border.

import type { DType } from '../../types/ops';
import { raise } from '../errors';

export type { DType };

/**
 * What `toTypedArray` returns: float16 and bfloat16 as bit patterns in a Uint16Array, bool as 0 and 1 in a Uint8Array.
 */
export type TensorArray =
  Float32Array | Float64Array | BigInt64Array | Int32Array | Int16Array | Int8Array | Uint8Array | Uint16Array;

// By tag and not by instanceof: inside a vm context (Jest) the classes are others.
const DTYPE_OF_ARRAY: Readonly<Record<string, DType>> = {
  Float32Array: 'float32',
  Float64Array: 'float64',
  BigInt64Array: 'int64',
  Int32Array: 'int32',
  Int16Array: 'int16',
  Int8Array: 'int8',
  Uint8Array: 'uint8',
  Uint8ClampedArray: 'uint8',
};

/** The class name of a typed array, whatever realm it comes from. */
export function arrayTag(array: ArrayBufferView): string {
  return Object.prototype.toString.call(array).slice(8, -1);
}

/**
 * The element type that a typed array stands for by itself.
 * @throws ERR_INVALID_ARGUMENT for one that is ambiguous or has none.
 */
export function dtypeOfArray(array: ArrayBufferView): DType {
  const tag = arrayTag(array);
  const dtype = DTYPE_OF_ARRAY[tag];
  if (dtype !== undefined) return dtype;
  const remedy =
    tag === 'Uint16Array'
      ? "name the dtype: its 16-bit patterns may be 'float16' or 'bfloat16'"
      : `use one of ${Object.keys(DTYPE_OF_ARRAY).join(', ')}`;
  return raise('ERR_INVALID_ARGUMENT', `tensor: a ${tag} has no element type of its own; ${remedy}.`);
}

/** True if `array` can be copied as `dtype` bit by bit, without converting values. */
export function carries(array: ArrayBufferView, dtype: DType): boolean {
  const tag = arrayTag(array);
  if (tag === 'Uint16Array') return dtype === 'float16' || dtype === 'bfloat16';
  return DTYPE_OF_ARRAY[tag] === dtype || (dtype === 'bool' && tag === 'Uint8Array');
}
