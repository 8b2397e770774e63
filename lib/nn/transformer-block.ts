// One Transformer block: self-attention and a feed-forward network, each with dropout, residual and normalisation.

import * as check from '../check';
import type { Tensor } from '../tensor';
import { type Activation, ACTIVATIONS } from './activations';
import { SelfAttention } from './attention';
import { Dropout } from './dropout';
import { LAYER_OPTIONS, type LayerOptions, sharedInitializer } from './initializer';
import { LayerNorm } from './layer-norm';
import { Linear } from './linear';
import { Module } from './module';
import { activate, add, drop, exactly, layerNorm, linear, NO_NOISE, type Noisy, type WeightNoise } from './noisy';

export interface TransformerBlockOptions extends LayerOptions {
  readonly dim: number;
  /** Default 1; must divide `dim`. */
  readonly heads?: number;
  /** Width of the feed-forward network. Default 4 dim. */
  readonly ffnDim?: number;
  /** Default relu. */
  readonly activation?: Activation;
  /**
   * `post` (default, Vaswani et al. 2017): norm(x + f(x)). `pre`: x + f(norm(x)); the caller normalises the last
   * output.
   */
  readonly norm?: 'post' | 'pre';
  /** Probability of dropping an output of either half while training. Default 0. */
  readonly dropout?: number;
  /** Probability of dropping an attention weight while training. Default: `dropout`. */
  readonly attentionDropout?: number;
  /** Default true. */
  readonly causal?: boolean;
  /** Standard deviation of all initial weights. Default 0.02. */
  readonly std?: number;
}

const KNOWN = [
  ...LAYER_OPTIONS,
  'dim',
  'heads',
  'ffnDim',
  'activation',
  'norm',
  'dropout',
  'attentionDropout',
  'causal',
  'std',
] as const satisfies readonly (keyof TransformerBlockOptions)[];

export class TransformerBlock extends Module {
  readonly attention: SelfAttention;
  readonly attentionNorm: LayerNorm;
  readonly attentionDrop: Dropout;
  readonly ffnIn: Linear;
  readonly ffnOut: Linear;
  readonly ffnNorm: LayerNorm;
  readonly ffnDrop: Dropout;
  readonly activation: Activation;
  readonly norm: 'post' | 'pre';

  constructor(options: TransformerBlockOptions) {
    super();
    check.onlyKnown('TransformerBlock', options, KNOWN);
    const { dim, heads = 1, activation = 'relu', norm = 'post', causal = true, dropout = 0, std = 0.02 } = options;
    const { attentionDropout = dropout, ffnDim = 4 * dim, init = sharedInitializer(), dtype = 'float32' } = options;
    check.integer('TransformerBlock', { dim }, 1);
    check.oneOf('TransformerBlock', { activation }, Object.keys(ACTIVATIONS) as Activation[]);
    check.oneOf('TransformerBlock', { norm }, ['post', 'pre']);
    const layer = { init, dtype, std };
    this.attention = new SelfAttention(dim, { ...layer, heads, causal, dropout: attentionDropout });
    this.attentionNorm = new LayerNorm(dim, { dtype });
    this.attentionDrop = new Dropout(dropout, { init });
    this.ffnIn = new Linear(dim, ffnDim, layer);
    this.ffnOut = new Linear(ffnDim, dim, layer);
    this.ffnNorm = new LayerNorm(dim, { dtype });
    this.ffnDrop = new Dropout(dropout, { init });
    this.activation = activation;
    this.norm = norm;
  }

  /** @param x `[N, dim]` rows of the surrounding segments, or `[B, T, dim]` without a scope @returns the same shape */
  forward(x: Tensor): Tensor {
    return this.forwardNoisy(exactly(x), NO_NOISE).mean;
  }

  /**
   * The same for rows that carry the variance of their noise, which attention corrects for (see
   * {@link SelfAttention.forwardNoisy}).
   *
   * @param propagate  Whether the result shall carry its variance; the last block need not compute it. Default true.
   */
  forwardNoisy(x: Noisy, noise: WeightNoise, options: { readonly propagate?: boolean } = {}): Noisy {
    check.onlyKnown('TransformerBlock.forwardNoisy', options, ['propagate']);
    const { propagate = true } = options;
    const attend = (rows: Noisy): Noisy =>
      drop(this.attentionDrop, this.attention.forwardNoisy(rows, noise, { propagate }));
    const feed = (rows: Noisy): Noisy => {
      const inner = activate(this.activation, linear(this.ffnIn, rows, noise));
      return drop(this.ffnDrop, linear(this.ffnOut, inner, noise));
    };
    const passed = propagate ? x : exactly(x.mean);
    if (this.norm === 'post') {
      const attended = layerNorm(this.attentionNorm, add(passed, attend(x)), noise);
      return layerNorm(this.ffnNorm, add(attended, feed(attended)), noise);
    }
    const attended = add(passed, attend(layerNorm(this.attentionNorm, x, noise)));
    return add(attended, feed(layerNorm(this.ffnNorm, attended, noise)));
  }
}
