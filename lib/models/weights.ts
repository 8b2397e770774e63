// Named tensors to and from a safetensors file, which is replaced as a whole or not at all.

import { readFile } from 'node:fs/promises';

import * as check from '../check';
import { raise } from '../errors';
import { replaceFile } from '../files';
import { decodeTensors, encodeTensors, type Tensor, type Weights } from '../tensor';

export type { Weights };

/**
 * Writes `tensors` to `path` (temporary file, fsync, rename). Python's safetensors reads the result.
 *
 * @throws ERR_INVALID_ARGUMENT for a tensor whose type the format lacks (complex, float8), and what is no list of named tensors.
 */
export async function saveWeights(
  path: string,
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  check.text('saveWeights', { path });
  const named = namedTensors(tensors);
  await replaceFile(path, encodeTensors(named, metadata));
}

/**
 * Reads the tensors of a file. They belong to the surrounding scope.
 *
 * @throws ERR_DATA_FORMAT for a file that is missing, cut off, or not safetensors.
 */
export async function loadWeights(path: string): Promise<Weights> {
  check.text('loadWeights', { path });
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    return raise('ERR_DATA_FORMAT', `${path}: cannot be read: ${(error as Error).message}.`, error);
  }
  return decodeTensors(bytes, path);
}

function namedTensors(tensors: Iterable<readonly [string, Tensor]>): (readonly [string, Tensor])[] {
  const given: unknown = tensors;
  check.able(
    'saveWeights',
    { tensors: given as object },
    Symbol.iterator,
    'a list of [name, tensor] or a map of tensors',
  );
  const named = [...tensors];
  named.forEach((pair, k) => {
    check.list('saveWeights', { [`tensors[${k}]`]: pair });
    check.text('saveWeights', { [`name of tensors[${k}]`]: pair[0] });
    check.able('saveWeights', { [pair[0]]: pair[1] }, 'detach', 'a tensor');
  });
  return named;
}
