// Named tensors to and from the bytes of a safetensors file.

import { raise } from '../errors';
import type { DType } from './dtype';
import { fromTypedArray } from './factories';
import { decodeSafetensors, type ElementType, encodeSafetensors, type StoredArray } from './safetensors';
import type { Tensor } from './tensor';

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

/** @throws ERR_INVALID_ARGUMENT for a tensor whose type the format lacks (complex, float8). */
export function encodeTensors(
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const arrays = new Map<string, StoredArray>();
  for (const [name, tensor] of tensors) arrays.set(name, store(name, tensor));
  return encodeSafetensors({ arrays, metadata });
}

/**
 * The tensors of a file. They belong to the surrounding scope.
 *
 * @param file  Name for messages.
 * @throws ERR_DATA_FORMAT
 */
export function decodeTensors(bytes: Uint8Array, file: string): Weights {
  const { arrays, metadata } = decodeSafetensors(bytes, file);
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
