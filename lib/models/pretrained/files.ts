// The files of a model folder: configuration, and weights in one safetensors file or in several with an index.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { raise } from '../../errors';
import type { Tensor } from '../../tensor';
import { loadWeights } from '../weights';
import { isObject, type Json } from './config';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const PICKLES = ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'model.bin'];

/** @throws ERR_MODEL_CONFIG for a file that is no JSON object */
export async function readJson(path: string): Promise<Json> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    raise('ERR_MODEL_CONFIG', `${path}: not readable as JSON: ${(error as Error).message}.`, error);
  }
  return isObject(value) ? value : raise('ERR_MODEL_CONFIG', `${path}: must be a JSON object.`);
}

export async function readJsonIfAny(path: string): Promise<Json | null> {
  return existsSync(path) ? readJson(path) : null;
}

/**
 * Hands the tensors of a folder to `visit`, file by file, so that one file's tensors are in memory at a time; then frees them.
 *
 * @throws ERR_DATA_FORMAT for files that are not what they should be, and for folders that hold pickle files only: those are
 *   programs, and are never run.
 */
export async function visitWeights(
  folder: string,
  visit: (tensors: ReadonlyMap<string, Tensor>) => void,
): Promise<void> {
  for (const file of await weightFiles(folder)) {
    const { tensors } = await loadWeights(join(folder, file));
    try {
      visit(tensors);
    } finally {
      for (const tensor of tensors.values()) tensor.dispose();
    }
  }
}

async function weightFiles(folder: string): Promise<readonly string[]> {
  if (existsSync(join(folder, SINGLE))) return [SINGLE];
  const index = join(folder, INDEX);
  if (existsSync(index)) {
    const { weight_map: map } = await readJson(index);
    const files = isObject(map) ? [...new Set(Object.values(map))] : [];
    // Files lie beside the index: a name with a folder in it could be any file of the machine.
    if (files.length === 0 || !files.every((file) => typeof file === 'string' && /^[\w.-]+$/.test(file)))
      raise('ERR_DATA_FORMAT', `${index}: weight_map must name files of the same folder.`);
    return files as string[];
  }
  const pickle = PICKLES.find((file) => existsSync(join(folder, file)));
  const remedy =
    'convert it with Python: from transformers import AutoModelForCausalLM as M; ' +
    `M.from_pretrained('${folder}').save_pretrained('${folder}', safe_serialization=True)`;
  return raise(
    'ERR_DATA_FORMAT',
    pickle === undefined
      ? `${folder}: there is no ${SINGLE} and no ${INDEX}.`
      : `${join(folder, pickle)}: a pickle file is a program and is not read; ${remedy}`,
  );
}
