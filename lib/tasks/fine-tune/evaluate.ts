// A fine-tuned model measured again, on data like those that it was held against.

import * as check from '../../check';
import { raise } from '../../errors';
import { checkDevice } from '../../tensor';
import type { OnEvent } from '../run/events';
import { readSettings } from './folder';
import { taskOf, TASKS } from './job';
import type { FineTuneTask } from './options';
import type { FineTuneRow } from './train';

export interface EvaluateOptions {
  readonly device?: string;
  readonly beams?: number;
}

/**
 * @param folder  Run folder. @param data  Held-out data as in training: a file, or a folder that has them.
 * @param options.device  Where it is measured, wherever it was trained. Default `cpu`.
 * @param options.beams  Of a model of `train table2text`: beams of the texts that are compared. Default: those of its training.
 * @throws ERR_INVALID_ARGUMENT (also for beams of a model that writes no texts), ERR_DEVICE, ERR_RUN_FOLDER, ERR_DATA_FORMAT, ERR_MODEL_…
 * @example await evaluateFineTuned('private-roberta', 'glue/SST-2')  // { task: 'classifier', rows: [{ name: 'private', metrics }] }
 */
export async function evaluateFineTuned(
  folder: string,
  data: string,
  onEvent: OnEvent = () => undefined,
  options: EvaluateOptions = {},
): Promise<{ readonly task: FineTuneTask; readonly rows: readonly FineTuneRow[] }> {
  check.onlyKnown('evaluate', options, ['device', 'beams']);
  const { device = 'cpu', beams } = options;
  check.text('evaluate', { folder });
  check.text('evaluate', { data });
  checkDevice('evaluate', device);
  const { task: name, settings } = await readSettings(folder, Object.keys(TASKS));
  if (beams !== undefined) {
    check.integer('evaluate', { beams }, 1);
    if (name !== 'table2text')
      raise(
        'ERR_INVALID_ARGUMENT',
        `evaluate: beams are for models of train table2text; ${folder} was trained for ${name}.`,
      );
  }
  const task = taskOf(name);
  const model = await task.load(folder, settings);
  try {
    model.to(device);
    const exam = await task.exam(model, folder, data, beams === undefined ? settings : { ...settings, beams });
    return { task: name, rows: [{ name: 'private', metrics: exam.measure(model, onEvent) }] };
  } finally {
    model.dispose();
  }
}
