// A fine-tuned model measured again, on data like those that it was held against.

import * as check from '../../check';
import { checkDevice } from '../../tensor';
import type { OnEvent } from '../run/events';
import { readSettings } from './folder';
import { taskOf, TASKS } from './job';
import type { FineTuneTask } from './options';
import type { FineTuneRow } from './train';

/**
 * @param folder  Run folder. @param data  Held-out data as in training: a file, or a folder that has them.
 * @param options.device  Where it is measured, wherever it was trained. Default `cpu`.
 * @throws ERR_DEVICE, ERR_RUN_FOLDER, ERR_DATA_FORMAT, ERR_MODEL_…
 * @example await evaluateFineTuned('private-roberta', 'glue/SST-2')  // { task: 'classifier', rows: [{ name: 'private', metrics }] }
 */
export async function evaluateFineTuned(
  folder: string,
  data: string,
  onEvent: OnEvent = () => undefined,
  { device = 'cpu' }: { readonly device?: string } = {},
): Promise<{ readonly task: FineTuneTask; readonly rows: readonly FineTuneRow[] }> {
  check.text('evaluate', { folder });
  check.text('evaluate', { data });
  checkDevice('evaluate', device);
  const { task: name, settings } = await readSettings(folder, Object.keys(TASKS));
  const task = taskOf(name);
  const model = await task.load(folder, settings);
  try {
    model.to(device);
    const exam = await task.exam(model, folder, data, settings);
    return { task: name, rows: [{ name: 'private', metrics: exam.measure(model, onEvent) }] };
  } finally {
    model.dispose();
  }
}
