// Normalisation of groups of channels, with a per-sample rule (Wu and He 2018, arXiv 1803.08494).

import * as check from '../check';
import { raise } from '../errors';
import { ones, type Tensor, torch, zeros } from '../tensor';
import { affine } from './affine';
import type { ParameterType } from './initializer';
import { Module } from './module';
import { Parameter } from './parameter';

export interface GroupNormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Default true: scale and shift of each channel are trained. */
  readonly affine?: boolean;
  /** Default float32. */
  readonly dtype?: ParameterType;
}

/**
 * Each sample's channels are cut into `groups`, and each group is normalised by its own mean and variance over channels and places.
 * Unlike batch normalisation it mixes no samples: take it in its place.
 */
export class GroupNorm extends Module {
  /** `[channels]`, starts at 1; null without `affine`. */
  readonly weight: Parameter | null;
  /** `[channels]`, starts at 0; null without `affine`. */
  readonly bias: Parameter | null;
  readonly groups: number;
  readonly channels: number;
  readonly eps: number;

  /** @throws ERR_INVALID_ARGUMENT unless `groups` divides `channels` */
  constructor(groups: number, channels: number, options: GroupNormOptions = {}) {
    super();
    check.onlyKnown('GroupNorm', options, ['eps', 'affine', 'dtype']);
    const { eps = 1e-5, affine: trained = true, dtype = 'float32' } = options;
    check.integer('GroupNorm', { groups }, 1);
    check.integer('GroupNorm', { channels }, 1);
    check.positive('GroupNorm', { eps });
    if (channels % groups !== 0)
      raise('ERR_INVALID_ARGUMENT', `GroupNorm: ${groups} groups do not divide ${channels} channels.`);
    this.weight = trained ? new Parameter(ones([channels], { dtype })) : null;
    this.bias = trained ? new Parameter(zeros([channels], { dtype })) : null;
    this.groups = groups;
    this.channels = channels;
    this.eps = eps;
  }

  /** @param x `[B, channels, ...]` @returns the same shape */
  forward(x: Tensor): Tensor {
    const normal = torch.ops.aten.group_norm(x, this.groups, null, null, this.eps);
    return this.weight === null ? normal : affine(normal, this.weight, this.bias, { axis: 1 });
  }
}
