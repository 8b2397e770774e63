// Softmax over a large vocabulary with its cross entropy, without ever holding the logits.

import * as check from '../check';
import { type Tensor, torch, zeros } from '../tensor';
import { LAYER_OPTIONS, type LayerOptions, sharedInitializer } from './initializer';
import { Module } from './module';
import { Parameter } from './parameter';

export interface SoftmaxCrossEntropyOptions {
  /** `[N]`, not trained: weight of each row; 0 leaves it out. Default 1. */
  readonly weights?: Tensor | null;
  /** `[vocabulary]`, added to the logits. */
  readonly bias?: Tensor | null;
  /** Hidden rows are multiplied by this. Default 1. */
  readonly scale?: number;
  /** Share of the target that is spread evenly over the vocabulary, in [0, 1). Default 0. */
  readonly labelSmoothing?: number;
  /** A column that is left out of the softmax. Default: none. */
  readonly paddingId?: number;
  /**
   * int64 ids to which the softmax is restricted, the same for all samples: public ones, not what stands in the batch, or every loss would
   * depend on everybody. Default: the whole vocabulary.
   */
  readonly candidates?: Tensor | null;
  /** Divides each sample's loss by the sum of its weights. Default false: the sum over its rows. */
  readonly mean?: boolean;
}

/** Those of a head: its bias is its own. */
const LOSS_OPTIONS = [
  'weights',
  'scale',
  'labelSmoothing',
  'paddingId',
  'candidates',
  'mean',
] as const satisfies readonly (keyof SoftmaxCrossEntropyOptions)[];

/**
 * `Σ_t w_t (lse(z_t) − z_t[y_t])` for each sample, z_t = scale · hidden_t tableᵀ + bias. Give it the weight of an
 * {@link Embedding} and the two are tied; the per-sample norm is exact then too (gradients.md, the phantom cross term).
 *
 * @param hidden `[N, dim]` rows of the surrounding segments; without a scope the first dimension counts samples.
 * @param table `[vocabulary, dim]`. @param targets int64 `[N]`. @returns `[B]`; 0 for a sample whose weights are all 0.
 * @throws ERR_BATCH_DIMENSION, ERR_INVALID_ARGUMENT
 */
export function softmaxCrossEntropy(
  hidden: Tensor,
  table: Tensor,
  targets: Tensor,
  options: SoftmaxCrossEntropyOptions = {},
): Tensor {
  check.onlyKnown('softmaxCrossEntropy', options, [...LOSS_OPTIONS, 'bias']);
  const {
    weights = null,
    bias = null,
    scale = 1,
    labelSmoothing = 0,
    paddingId = -1,
    candidates = null,
    mean = false,
  } = options;
  return torch.ops.phantomgrad.softmax_cross_entropy_head(hidden, table, targets, weights, bias, {
    scale,
    label_smoothing: labelSmoothing,
    padding_id: paddingId,
    candidates,
    mean,
  });
}

export interface SoftmaxHeadOptions extends LayerOptions {
  /** A trained bias for every word, starting at zero. Default false. */
  readonly bias?: boolean;
  /** Standard deviation of the initial table. Default 0.02. */
  readonly std?: number;
}

/** An output table of its own (untied), with its loss and its scores. */
export class SoftmaxHead extends Module {
  /** `[vocabulary, dim]`. */
  readonly weight: Parameter;
  /** `[vocabulary]`. */
  readonly bias: Parameter | null;

  constructor(dim: number, vocabulary: number, options: SoftmaxHeadOptions = {}) {
    super();
    check.onlyKnown('SoftmaxHead', options, [...LAYER_OPTIONS, 'bias', 'std']);
    check.integer('SoftmaxHead', { dim }, 1);
    check.integer('SoftmaxHead', { vocabulary }, 1);
    const { bias = false, dtype = 'float32', init = sharedInitializer(), std = 0.02 } = options;
    this.weight = new Parameter(init.normal([vocabulary, dim], std, dtype));
    this.bias = bias ? new Parameter(zeros([vocabulary], { dtype })) : null;
  }

  /** Per-sample cross entropy, see {@link softmaxCrossEntropy}. */
  loss(hidden: Tensor, targets: Tensor, options: Omit<SoftmaxCrossEntropyOptions, 'bias'> = {}): Tensor {
    check.onlyKnown('SoftmaxHead.loss', options, LOSS_OPTIONS);
    return softmaxCrossEntropy(hidden, this.weight, targets, { ...options, bias: this.bias });
  }

  /** All logits, `[..., vocabulary]`: for scoring a few rows. */
  forward(hidden: Tensor): Tensor {
    return torch.ops.phantomgrad.linear(hidden, this.weight, this.bias);
  }
}
