// Rows that know how noisy they are: each layer takes mean and variance together (Ding et al. 2024, Eq. 18, 19, 30, 31).

import * as check from '../check';
import { raise } from '../errors';
import { noGrad, type Tensor, torch } from '../tensor';
import { type Activation, ACTIVATIONS } from './activations';
import type { Dropout } from './dropout';
import type { LayerNorm } from './layer-norm';
import { Linear } from './linear';

const ops = torch.ops.phantomgrad;

/** What Re-Attention does to attention weights, see {@link ReAttentionOptions}. */
export type Correction = 'logit' | 'paper' | 'secondOrder' | 'off';

/** Rows `[N, dim]` (or `[B, T, dim]`), and how far noise in the parameters has moved them. */
export interface Noisy {
  /** The rows as they are, computed with the noisy parameters. */
  readonly mean: Tensor;
  /** `[N]` variance of every entry of a row, of the rows' dtype and outside autograd. Null: exact, nothing is carried on. */
  readonly variance: Tensor | null;
}

/** How the noise of the weights themselves enters, and what attention does about it. */
export interface WeightNoise {
  /** σ_W²: of every entry of every weight and bias. */
  readonly weight: number;
  readonly correction: Correction;
  /** Largest number taken from a logit; null: any. */
  readonly maxPenalty: number | null;
}

export const NO_NOISE: WeightNoise = { weight: 0, correction: 'off', maxPenalty: null };

/** Rows without noise. */
export function exactly(mean: Tensor): Noisy {
  check.able('exactly', { mean }, 'detach', 'a tensor');
  return { mean, variance: null };
}

/**
 * Variance of y = x Wᵀ + b for each of `groups` equal parts of the outputs, `[N, groups]`: n v s + v‖μ_W‖²/m + s‖x‖² + s, where
 * s is that of weights and bias (Eq. 30 in its scalar form).
 *
 * @throws ERR_INVALID_ARGUMENT for a layer of another kind
 */
export function linearVariance(layer: Linear, x: Tensor, variance: Tensor, noise: WeightNoise, groups = 1): Tensor {
  if (!(layer instanceof Linear)) {
    return raise(
      'ERR_INVALID_ARGUMENT',
      'Re-Attention: noise has no rule through this layer, which is not a nn.Linear. Switch the correction off: reAttention: false.',
    );
  }
  return ops.linear_variance(x, variance, layer.weight, {
    weight_variance: noise.weight,
    bias_variance: layer.bias === null ? 0 : noise.weight,
    groups,
  });
}

export function linear(layer: Linear, { mean, variance }: Noisy, noise: WeightNoise): Noisy {
  return {
    mean: layer.forward(mean),
    variance: variance === null ? null : linearVariance(layer, mean, variance, noise).squeeze(1),
  };
}

/** γ² v/(row variance + eps), at most γ²: the observed row is already noisy, and noise cannot be more than all of it. */
export function layerNorm(layer: LayerNorm, { mean, variance }: Noisy, noise: WeightNoise): Noisy {
  const spread = (v: Tensor): Tensor =>
    ops.layer_norm_variance(mean, v, layer.weight, {
      weight_variance: noise.weight,
      bias_variance: layer.bias === null ? 0 : noise.weight,
      eps: layer.eps,
    });
  return { mean: layer.forward(mean), variance: variance === null ? null : spread(variance) };
}

/** ReLU by Eq. 31, GELU by quadrature, as a mean over the channels of a row. */
export function activate(activation: Activation, { mean, variance }: Noisy): Noisy {
  return {
    mean: ACTIVATIONS[activation](mean),
    variance: variance === null ? null : ops.activation_variance(mean, variance, activation),
  };
}

/** v/(1 − p): a mean over masks. */
export function drop(layer: Dropout, { mean, variance }: Noisy): Noisy {
  const divided = layer.training && layer.p > 0;
  return {
    mean: layer.forward(mean),
    variance: variance !== null && divided ? noGrad(() => variance.div(1 - layer.p)) : variance,
  };
}

/** A sum, its terms taken as independent. */
export function add(a: Noisy, b: Noisy): Noisy {
  const [v, w] = [a.variance, b.variance];
  return { mean: a.mean.add(b.mean), variance: v !== null && w !== null ? noGrad(() => v.add(w)) : (v ?? w) };
}

/** What rows of an embedding carry: the variance of each id's row (`rows`, `[count]`), times scale². */
export function embeddingVariance(rows: Tensor, ids: Tensor, scale: number): Tensor {
  return noGrad(() => rows.indexSelect(0, ids.reshape([-1])).mul(scale * scale));
}
