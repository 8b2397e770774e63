// What a family of models is: a name in config.json, tables of tensor names, and one constructor for each task.

import type { Initializer, ParameterType } from '../../nn';
import type { ConfigReader, Json } from './config';
import type { PretrainedModel } from './model';
import type { NameRule } from './names';

/** How layers of a model are made. */
export interface Making {
  readonly init: Initializer;
  readonly dtype: ParameterType;
}

/** One thing that a family can do. */
export interface TaskRow {
  /** Hugging Face's class, as `architectures` in config.json has it. */
  readonly architecture: string;
  /** Names of what stands on the backbone: everything whose path does not begin with «backbone.». */
  readonly names: readonly NameRule[];
  /** Tensors that a file may hold although another one is the same: `[second name, name]`. They must be equal. */
  readonly duplicates?: readonly (readonly [duplicate: string, original: string])[];
  /** Paths of parameters that a file may lack: they stay as they begin. */
  readonly optional?: readonly string[];
  /** Modules of the backbone that only this task's head reads: with a new head they start afresh where a file has none. */
  readonly poolers?: readonly string[];
  /** The model has two properties at least: `backbone`, and what the task puts on it. */
  build(config: ConfigReader, making: Making): PretrainedModel;
}

export interface Family {
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** What Hugging Face's models with a head put before the names of the backbone («transformer.»); bare ones have no prefix. */
  readonly prefix: string;
  /** Names of the backbone, without prefix. */
  readonly names: readonly NameRule[];
  /** Tensors that hold nothing to be trained (masks, position numbers): left out in silence. */
  readonly buffers: readonly RegExp[];
  /** Older spellings of a name, made the present ones. */
  readonly rename?: (name: string) => string;
  readonly tasks: Readonly<Record<string, TaskRow>>;
}

/** Where a model comes from, and so what is written when it is saved. */
export interface Origin {
  readonly family: Family;
  readonly task: string;
  readonly config: Json;
  /** generation_config.json, where there is one. */
  readonly generation: Json | null;
}

/** The table of all names of a task: a bare model (without a head) has no prefix. */
export function namesOf({ family, task }: Pick<Origin, 'family' | 'task'>): readonly NameRule[] {
  const row = family.tasks[task] as TaskRow;
  const prefix = row.names.length === 0 ? '' : family.prefix;
  return [...family.names.map(([ours, theirs]) => [ours, prefix + theirs] as const), ...row.names];
}
