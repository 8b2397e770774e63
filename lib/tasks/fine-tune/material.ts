// What a task brings to a job: a model, records to train on, what one of them is, and what is measured.

import type { Json } from '../../models/pretrained/config';
import type { PretrainedModel } from '../../models';
import type { OnEvent } from '../run/events';
import type { Exam, Metrics } from './exam';
import type { CommonOptions, FineTuneTask, ResolvedCommon, TaskDefaults } from './options';
import type { Records } from './subset';

export interface Material<M extends PretrainedModel = PretrainedModel> {
  /** The same model each time: the one that is trained privately, and its twin for comparison. */
  readonly make: () => Promise<M>;
  readonly train: Records;
  readonly exam: Exam<M>;
  /** What a record is: singular for the statement («one line of the file»), plural for progress («lines»). */
  readonly unit: { readonly one: string; readonly many: string };
  /** What this task does with the data outside the ledger. */
  readonly notCovered: readonly string[];
  /** Folder whose tokenizer is kept with the weights; null for none. */
  readonly tokenizer: string | null;
  /** What reading more data of the kind takes: kept in training.json. No paths. */
  readonly settings: Json;
  /** Measured of the model before training, too: what pretrained weights know already. */
  readonly before: boolean;
  /** Yardsticks that need no training of ours. */
  baselines(tell: OnEvent): Readonly<Record<string, Metrics>>;
}

/** One kind of job. */
export interface Task<O extends CommonOptions = CommonOptions, M extends PretrainedModel = PretrainedModel> {
  readonly name: FineTuneTask;
  readonly defaults: TaskDefaults;
  /** Options beside the common ones. */
  readonly keys: readonly string[];
  /**
   * Reads data and makes ready; nothing is written.
   *
   * @throws what the readers throw, and ERR_INVALID_ARGUMENT, ERR_VOCABULARY, ERR_MODEL_… for what does not fit together.
   */
  prepare(options: O, common: ResolvedCommon): Promise<Material<M>>;
  /** The model of a run folder. */
  load(folder: string, settings: Json): Promise<M>;
  /** What `evaluate` measures on a file or folder like that of training. */
  exam(model: M, folder: string, data: string, settings: Json): Promise<Exam<M>>;
}
