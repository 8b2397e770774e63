// Root mean square normalisation over the last dimension, with a per-sample rule (Zhang and Sennrich 2019, arXiv 1910.07467).

import * as check from '../check';
import { ones, type Tensor, torch } from '../tensor';
import { affine } from './affine';
import type { ParameterType } from './initializer';
import { Module } from './module';
import { Parameter } from './parameter';

export interface RMSNormOptions {
  /** Added to the mean square. Default: the smallest ε with 1 + ε > 1 in the element type, as in PyTorch. */
  readonly eps?: number;
  /** Default float32. */
  readonly dtype?: ParameterType;
}

const EPSILON = { float32: 2 ** -23, float64: 2 ** -52 } as const;

/** `x / √(mean(x²) + eps) * weight`. */
export class RMSNorm extends Module {
  /** `[dim]`, starts at 1. */
  readonly weight: Parameter;
  readonly eps: number;

  constructor(dim: number, options: RMSNormOptions = {}) {
    super();
    check.onlyKnown('RMSNorm', options, ['eps', 'dtype']);
    const { dtype = 'float32', eps = EPSILON[dtype] } = options;
    check.integer('RMSNorm', { dim }, 1);
    check.positive('RMSNorm', { eps });
    this.weight = new Parameter(ones([dim], { dtype }));
    this.eps = eps;
  }

  /** @param x `[..., dim]` @returns the same shape */
  forward(x: Tensor): Tensor {
    return affine(torch.ops.aten.rms_norm(x, this.weight.shape, null, this.eps), this.weight);
  }
}
