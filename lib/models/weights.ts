// Named tensors to and from a safetensors file, which is replaced as a whole or not at all.

import { readFile } from 'node:fs/promises';

import { raise } from '../errors';
import { replaceFile } from '../files';
import { type DType, fromTypedArray, type Tensor } from '../tensor';
import { decodeSafetensors, type ElementType, encodeSafetensors, type StoredArray } from './safetensors';

const TYPES: readonly (readonly [DType, ElementType, (buffer: ArrayBuffer) => ArrayBufferView])[] = [
  ['float32', 'F32', (buffer) => new Float32Array(buffer)],
  ['float64', 'F64', (buffer) => new Float64Array(buffer)],
  ['float16', 'F16', (buffer) => new Uint16Array(buffer)],
  ['bfloat16', 'BF16', (buffer) => new Uint16Array(buffer)],
  ['int64', 'I64', (buffer) => new BigInt64Array(buffer)],
  ['int32', 'I32', (buffer) => new Int32Array(buffer)],
  ['int16', 'I16', (buffer) => new Int16Array(buffer)],
  ['int8', 'I8', (buffer) => new Int8Array(buffer)],
  ['uint8', 'U8', (buffer) => new Uint8Array(buffer)],
  ['bool', 'BOOL', (buffer) => new Uint8Array(buffer)],
];

/** Named tensors with free text beside them. */
export interface Weights {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Writes `tensors` to `path` (temporary file, fsync, rename). Python's safetensors reads the result.
 *
 * @throws ERR_INVALID_ARGUMENT for a tensor whose type the format lacks (complex, float8).
 */
export async function saveWeights(
  path: string,
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const arrays = new Map<string, StoredArray>();
  for (const [name, tensor] of tensors) arrays.set(name, store(name, tensor));
  await replaceFile(path, encodeSafetensors({ arrays, metadata }));
}

/**
 * Reads the tensors of a file. They belong to the surrounding scope.
 *
 * @throws ERR_DATA_FORMAT for a file that is missing, cut off, or not safetensors.
 */
export async function loadWeights(path: string): Promise<Weights> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    return raise('ERR_DATA_FORMAT', `${path}: cannot be read: ${(error as Error).message}.`, error);
  }
  const { arrays, metadata } = decodeSafetensors(bytes, path);
  return { tensors: new Map([...arrays].map(([name, array]) => [name, restore(array)])), metadata };
}

function store(name: string, tensor: Tensor): StoredArray {
  const type = TYPES.find(([dtype]) => dtype === tensor.dtype);
  if (type === undefined) {
    return raise('ERR_INVALID_ARGUMENT', `saveWeights: ${name} is ${tensor.dtype}, which safetensors cannot hold.`);
  }
  const values = tensor.toTypedArray();
  return {
    dtype: type[1],
    shape: tensor.shape,
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  };
}

function restore({ dtype, shape, bytes }: StoredArray): Tensor {
  const [target, , view] = TYPES.find(([, element]) => element === dtype) as (typeof TYPES)[number];
  // Copied: typed arrays need aligned memory, which a file does not promise.
  return fromTypedArray(view(new Uint8Array(bytes).buffer), shape, target);
}
