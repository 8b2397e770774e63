// Multi-head self-attention over packed rows: a row sees the rows of its own sample, and if causal only those before
// it.

import * as check from '../check';
import { raise } from '../errors';
import { type Tensor, torch } from '../tensor';
import { segmentsForDropout } from './dropout';
import { type LayerOptions, sharedInitializer } from './initializer';
import { Linear, LINEAR_OPTIONS } from './linear';
import { Module } from './module';
import { exactly, linear, linearVariance, NO_NOISE, type Noisy, type WeightNoise } from './noisy';
import { currentSegments, equalSegments } from './segments';

export interface SelfAttentionOptions extends LayerOptions {
  /** Default 1; must divide `dim`. */
  readonly heads?: number;
  /** Default true. */
  readonly causal?: boolean;
  /** Probability with which an attention weight is dropped while training. Default 0. */
  readonly dropout?: number;
  /** Default true, in both projections. */
  readonly bias?: boolean;
  /** Standard deviation of the initial weights, see {@link Linear}. */
  readonly std?: number;
}

const KNOWN = [
  ...LINEAR_OPTIONS,
  'heads',
  'causal',
  'dropout',
] as const satisfies readonly (keyof SelfAttentionOptions)[];

/**
 * softmax(Q Kᵀ / √(dim / heads)) V for each head, between two linear projections (Vaswani et al. 2017, section 3.2).
 */
export class SelfAttention extends Module {
  /** Queries, keys and values in one product: `[3 dim, dim]`, in this order. */
  readonly qkv: Linear;
  readonly out: Linear;
  readonly dim: number;
  readonly heads: number;
  readonly causal: boolean;
  readonly dropout: number;
  readonly seed: number;
  readonly site: number;

  constructor(dim: number, options: SelfAttentionOptions = {}) {
    super();
    check.onlyKnown('SelfAttention', options, KNOWN);
    const { heads = 1, causal = true, dropout = 0, init = sharedInitializer(), ...others } = options;
    check.integer('SelfAttention', { dim }, 1);
    check.integer('SelfAttention', { heads }, 1);
    if (dim % heads !== 0)
      raise('ERR_INVALID_ARGUMENT', `SelfAttention: ${heads} heads do not divide a width of ${dim}.`);
    check.share('SelfAttention', { dropout });
    const linear = { ...others, init };
    this.qkv = new Linear(dim, 3 * dim, linear);
    this.out = new Linear(dim, dim, linear);
    this.dim = dim;
    this.heads = heads;
    this.causal = causal;
    this.dropout = dropout;
    this.seed = init.seed;
    this.site = init.site();
  }

  /**
   * @param x `[N, dim]` rows of the surrounding segments, or without a scope `[B, T, dim]`: B samples of T rows.
   * @returns The same shape.
   * @throws ERR_BATCH_DIMENSION if the rows are not those of the segments, or a scope is missing
   */
  forward(x: Tensor): Tensor {
    return this.forwardNoisy(exactly(x), NO_NOISE).mean;
  }

  /**
   * The same for rows that carry the variance of their noise: attention weights are corrected for the noise of the keys
   * (Re-Attention, Ding et al. 2024, Eq. 20). Rows without variance get plain attention, to the last bit.
   *
   * @param propagate  Whether the result shall carry its variance. Default true.
   * @throws ERR_BATCH_DIMENSION as in {@link forward}
   */
  forwardNoisy(x: Noisy, noise: WeightNoise, options: { readonly propagate?: boolean } = {}): Noisy {
    check.onlyKnown('SelfAttention.forwardNoisy', options, ['propagate']);
    const { propagate = true } = options;
    const { mean, variance } = x;
    const [query, key, value] = this.qkv
      .forward(mean)
      .reshape([-1, 3 * this.dim])
      .split(this.dim, -1) as [Tensor, Tensor, Tensor];
    const drop = this.training && this.dropout > 0;
    const open = currentSegments();
    using own = open === null && !drop ? equalSegments('SelfAttention', mean) : null;
    const segments = drop ? segmentsForDropout('SelfAttention') : (open ?? own!);
    const settings = {
      heads: this.heads,
      causal: this.causal,
      ...(drop ? { dropout: this.dropout, sample_keys: segments.sampleKeys } : {}),
      seed: this.seed,
      step: segments.step,
      site: this.site,
    };
    if (variance === null) {
      const mixed = torch.ops.phantomgrad.attention(query, key, value, segments.cuSeqlens, settings);
      return exactly(this.out.forward(mixed.view(mean.shape)));
    }
    // Columns: a query's, a key's and a value's variance for each head.
    const spread = linearVariance(this.qkv, mean, variance, noise, 3 * this.heads);
    const ofKeys = spread.narrow(1, this.heads, this.heads);
    const [mixed, mixedVariance] = torch.ops.phantomgrad.re_attention(query, key, value, ofKeys, segments.cuSeqlens, {
      ...settings,
      correction: noise.correction,
      max_penalty: noise.maxPenalty,
      value_variance: propagate ? spread.narrow(1, 2 * this.heads, this.heads) : null,
    });
    const rows = mixed.view(mean.shape);
    if (!propagate) return exactly(this.out.forward(rows));
    return linear(this.out, { mean: rows, variance: mixedVariance.mean([1]) }, noise);
  }
}
