// The output bias as a tensor beside the weights: without it a loaded model would score differently.

import { raise } from '../../errors';
import type { SequentialModel } from '../../models/sequential-model';
import { fromTypedArray, type Tensor } from '../../tensor';

const NAME = 'outputBias';

/** `[items + 1]` float32, zeros where the model has not been told any; nothing for a model without. The caller's to free. */
export function biasTensors({ config, outputBias, itemCount }: SequentialModel): [string, Tensor][] {
  if (!config.outputBias) return [];
  return [[NAME, fromTypedArray(outputBias ?? new Float32Array(itemCount + 1), [itemCount + 1])]];
}

/** Takes it out of `stored` and gives it to `model`. @throws ERR_RUN_FOLDER when it is missing or does not fit. */
export function restoreBias(model: SequentialModel, stored: Map<string, Tensor>, path: string): void {
  if (!model.config.outputBias) return;
  const tensor = stored.get(NAME);
  const length = model.itemCount + 1;
  const values =
    tensor?.dtype === 'float32' && tensor.shape.join() === `${length}` ? (tensor.toTypedArray() as Float32Array) : null;
  if (values?.every(Number.isFinite) !== true) {
    return raise('ERR_RUN_FOLDER', `${path}: ${NAME} must be float32 [${length}] of finite numbers.`);
  }
  model.outputBias = values;
  stored.delete(NAME);
}
