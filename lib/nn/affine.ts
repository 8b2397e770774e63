// x * w + b with a per-sample rule: scale and shift by parameters that are smaller than a sample.

import * as check from '../check';
import { type Tensor, torch } from '../tensor';

export interface AffineOptions {
  /** `weight` and `bias` have the shape of `x.shape` from this dimension on. Default −1. */
  readonly axis?: number;
}

/**
 * Scales and shifts: `y = x * weight + bias`, where a parameter of shape `[d]` at axis −1 acts on the last dimension, `[C]` at axis 1
 * on the channels of `[B, C, ...]`, and one of shape `[]` is a learned scalar.
 *
 * @param x `[N, ...]` rows of the surrounding segments; without a scope the first dimension counts samples.
 * @param weight null: not scaled. @param bias null: not shifted. @returns The shape of `x`.
 * @throws ERR_INVALID_ARGUMENT, ERR_BATCH_DIMENSION
 * @example affine(logits, this.temperature) // temperature = new Parameter(ones([]))
 */
export function affine(
  x: Tensor,
  weight: Tensor | null,
  bias: Tensor | null = null,
  options: AffineOptions = {},
): Tensor {
  check.onlyKnown('affine', options, ['axis']);
  const { axis = -1 } = options;
  return torch.ops.phantomgrad.affine(x, weight, bias, axis);
}
