// config.json of a run: what it holds, and what is checked before anything is built from it.

import { raise } from '../../errors';
import type { SequentialTransformerConfig } from '../../models/sequential-transformer';
import type { DataSource } from './data';

export const MODEL_TYPE = 'sequential-transformer';

/** config.json. */
export interface RunConfig {
  readonly model_type: typeof MODEL_TYPE;
  readonly architectures: readonly ['SequentialTransformer'];
  /** Version of this library that wrote the folder. */
  readonly phantomgrad: string;
  readonly model: SequentialTransformerConfig;
  readonly data: DataSource;
  readonly training: Readonly<Record<string, string | number | boolean>>;
  readonly vocabulary: {
    /** `data`: taken from private data, which ε does not cover. `catalogue`: public. */
    readonly source: 'data' | 'catalogue';
    /** Original id of item n at index n - 1. */
    readonly items: readonly string[];
  };
}

/** @throws ERR_RUN_FOLDER naming the field that is not what it should be. */
export function checkRunConfig(value: Record<string, unknown>, path: string): RunConfig {
  const refuse = (what: string): never => raise('ERR_RUN_FOLDER', `${path}: ${what}.`);
  if (value.model_type !== MODEL_TYPE) {
    return refuse(`model_type must be ${MODEL_TYPE}, is ${JSON.stringify(value.model_type)}`);
  }
  const { model, data, vocabulary } = value;
  if (!isObject(model) || !isObject(data) || !isObject(vocabulary))
    return refuse('model, data and vocabulary must be objects');
  const { items } = vocabulary;
  if (!Array.isArray(items) || !items.every((id) => typeof id === 'string'))
    return refuse('vocabulary.items must be a list of ids');
  if (items.length !== model.items || new Set(items).size !== items.length) {
    return refuse(`vocabulary.items must list ${String(model.items)} ids, each once, and has ${items.length}`);
  }
  const known =
    (data.kind === 'file' && Number.isInteger(data.minActions)) ||
    (data.kind === 'synthetic' && Number.isInteger(data.users));
  if (!known) return refuse('data must say where the histories came from');
  return value as unknown as RunConfig;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
