// Layer normalisation over the last dimension, with a per-sample rule (Ba et al. 2016, arXiv 1607.06450).

import * as check from '../check';
import { ones, type Tensor, torch, zeros } from '../tensor';
import type { ParameterType } from './initializer';
import { Module } from './module';
import { Parameter } from './parameter';

export interface LayerNormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Default true. */
  readonly bias?: boolean;
  /** Default float32. */
  readonly dtype?: ParameterType;
}

export class LayerNorm extends Module {
  /** `[dim]`, starts at 1. */
  readonly weight: Parameter;
  /** `[dim]`, starts at 0. */
  readonly bias: Parameter | null;
  readonly eps: number;

  constructor(dim: number, options: LayerNormOptions = {}) {
    super();
    check.onlyKnown('LayerNorm', options, ['eps', 'bias', 'dtype']);
    const { eps = 1e-5, bias = true, dtype = 'float32' } = options;
    check.integer('LayerNorm', { dim }, 1);
    check.positive('LayerNorm', { eps });
    this.weight = new Parameter(ones([dim], { dtype }));
    this.bias = bias ? new Parameter(zeros([dim], { dtype })) : null;
    this.eps = eps;
  }

  /** @param x `[..., dim]` @returns the same shape */
  forward(x: Tensor): Tensor {
    return torch.ops.phantomgrad.layer_norm(x, this.weight, this.bias, this.eps);
  }
}
