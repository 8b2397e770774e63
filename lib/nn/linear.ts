// y = x Wᵀ + b, with a per-sample rule.

import * as check from '../check';
import { type Tensor, torch, zeros } from '../tensor';
import { LAYER_OPTIONS, type LayerOptions, sharedInitializer } from './initializer';
import { Module } from './module';
import { Parameter } from './parameter';

export interface LinearOptions extends LayerOptions {
  /** Default true; starts at zero. */
  readonly bias?: boolean;
  /** Standard deviation of the initial weights. Default 1/√inFeatures, which keeps the variance of its input. */
  readonly std?: number;
}

/** The names of {@link LinearOptions}. */
export const LINEAR_OPTIONS = [...LAYER_OPTIONS, 'bias', 'std'] as const satisfies readonly (keyof LinearOptions)[];

/** A linear map of the last dimension. */
export class Linear extends Module {
  /** `[outFeatures, inFeatures]`. */
  readonly weight: Parameter;
  /** `[outFeatures]`. */
  readonly bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, options: LinearOptions = {}) {
    super();
    check.onlyKnown('Linear', options, LINEAR_OPTIONS);
    check.integer('Linear', { inFeatures }, 1);
    check.integer('Linear', { outFeatures }, 1);
    const { bias = true, dtype = 'float32', init = sharedInitializer(), std = 1 / Math.sqrt(inFeatures) } = options;
    this.weight = new Parameter(init.normal([outFeatures, inFeatures], std, dtype));
    this.bias = bias ? new Parameter(zeros([outFeatures], { dtype })) : null;
  }

  /**
   * @param x `[..., inFeatures]` @returns `[..., outFeatures]`
   * @throws ERR_BATCH_DIMENSION if its rows are not those of the segments
   */
  forward(x: Tensor): Tensor {
    return torch.ops.phantomgrad.linear(x, this.weight, this.bias);
  }
}
