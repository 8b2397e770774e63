// config.json of a run: what it holds, and what is checked before anything is built from it.

import { raise } from '../../errors';
import type { DataSource } from './data';
import { type ModelKind, MODEL_TYPES } from './model';

/** config.json. */
export type RunConfig = ModelKind & {
  /** Version of this library that wrote the folder. */
  readonly phantomgrad: string;
  readonly data: DataSource;
  readonly training: Readonly<Record<string, string | number | boolean>>;
  readonly vocabulary: {
    /** `data`: taken from private data, which ε does not cover. `catalogue`: public. */
    readonly source: 'data' | 'catalogue';
    /** Original id of item n at index n - 1. */
    readonly items: readonly string[];
  };
};

/** @throws ERR_RUN_FOLDER naming the field that is not what it should be. */
export function checkRunConfig(value: Record<string, unknown>, path: string): RunConfig {
  const refuse = (what: string): never => raise('ERR_RUN_FOLDER', `${path}: ${what}.`);
  if (!MODEL_TYPES.includes(value.model_type as never)) {
    return refuse(`model_type must be ${MODEL_TYPES.join(' or ')}, is ${JSON.stringify(value.model_type)}`);
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
