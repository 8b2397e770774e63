// y = x W + b with W stored [in, out]: the linear layer of GPT-2 checkpoints.

import * as check from '../check';
import { type Tensor, torch, zeros } from '../tensor';
import { sharedInitializer } from './initializer';
import { LINEAR_OPTIONS, type LinearOptions } from './linear';
import { Module } from './module';
import { Parameter } from './parameter';

/**
 * What Hugging Face calls Conv1D: a {@link Linear} layer with the transposed weight, so that its checkpoints load as they are. It
 * convolves nothing; {@link Conv1d} does.
 */
export class Conv1D extends Module {
  /** `[inFeatures, outFeatures]`, starts normal with mean 0; its standard deviation is 0.02 unless said otherwise. */
  readonly weight: Parameter;
  /** `[outFeatures]`, starts at 0. */
  readonly bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, options: LinearOptions = {}) {
    super();
    check.onlyKnown('Conv1D', options, LINEAR_OPTIONS);
    check.integer('Conv1D', { inFeatures }, 1);
    check.integer('Conv1D', { outFeatures }, 1);
    const { bias = true, dtype = 'float32', init = sharedInitializer(), std = 0.02 } = options;
    this.weight = new Parameter(init.normal([inFeatures, outFeatures], std, dtype));
    this.bias = bias ? new Parameter(zeros([outFeatures], { dtype })) : null;
  }

  /**
   * @param x `[..., inFeatures]` @returns `[..., outFeatures]`
   * @throws ERR_BATCH_DIMENSION if its rows are not those of the segments
   */
  forward(x: Tensor): Tensor {
    return torch.ops.phantomgrad.linear(x, this.weight, this.bias, { transposed: true });
  }
}
