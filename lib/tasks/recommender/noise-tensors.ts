// What Re-Attention goes by, as tensors beside the weights: the same correction applies after loading.

import { raise } from '../../errors';
import type { SequentialModel } from '../../models/sequential-model';
import { fromTypedArray, type Tensor } from '../../tensor';

const ROWS = 'noiseVariance.rows';
const WEIGHT = 'noiseVariance.weight';

/** Variance of each item's row, `[items + 1]`, and of every other weight, `[1]`, float64; nothing for a model without. The caller's to free. */
export function noiseTensors({ noiseVariance }: SequentialModel): [string, Tensor][] {
  if (noiseVariance === null) return [];
  const { rows, weight } = noiseVariance;
  return [
    [ROWS, fromTypedArray(rows, [rows.length])],
    [WEIGHT, fromTypedArray(Float64Array.of(weight), [1])],
  ];
}

/** Takes them out of `stored` and gives them to `model`. @throws ERR_RUN_FOLDER when they do not fit it. */
export function restoreNoise(model: SequentialModel, stored: Map<string, Tensor>, path: string): void {
  const [rows, weight] = [stored.get(ROWS), stored.get(WEIGHT)];
  if (rows === undefined && weight === undefined) return;
  if (!model.usesEffectiveError) {
    raise('ERR_RUN_FOLDER', `${path}: ${ROWS} belongs to a model with reAttention, which config.json does not name.`);
  }
  const wanted = [model.itemCount + 1];
  const values = numbers(rows, wanted) ?? raise('ERR_RUN_FOLDER', `${path}: ${ROWS} must be float64 [${wanted[0]}].`);
  const [own] = numbers(weight, [1]) ?? raise('ERR_RUN_FOLDER', `${path}: ${WEIGHT} must be float64 [1].`);
  model.noiseVariance = { rows: values, weight: own as number };
  stored.delete(ROWS);
  stored.delete(WEIGHT);
}

// Variances: none of them negative, infinite or NaN.
function numbers(tensor: Tensor | undefined, shape: readonly number[]): Float64Array | null {
  if (tensor?.dtype !== 'float64' || tensor.shape.join() !== shape.join()) return null;
  const values = tensor.toTypedArray() as Float64Array;
  return values.every((value) => value >= 0 && Number.isFinite(value)) ? values : null;
}
