// One layer of a pretrained Transformer: attention and a feed-forward network, each with dropout, residual and normalisation.

import { Dropout, Module } from '../../nn';
import type { Tensor } from '../../tensor';
import type { Making } from './family';
import { Attention, type AttentionBias, type AttentionScope, type AttentionShape } from './attention';
import type { LinearLayer } from './layers';
import type { RotaryAngles } from './rotary';

export interface BlockShape extends Pick<Making, 'init'> {
  readonly attention: AttentionShape;
  readonly feedForward: LinearLayer;
  /** Makes one of the two normalisations. */
  readonly norm: () => LinearLayer;
  /** `post`: norm(x + f(x)). `pre`: x + f(norm(x)); the backbone normalises the last output. */
  readonly placement: 'pre' | 'post';
  /** Probability of dropping an output of either half while training. Default 0. */
  readonly dropout?: number;
}

export class Block extends Module {
  readonly attentionNorm: LinearLayer;
  readonly attention: Attention;
  readonly attentionDrop: Dropout;
  readonly feedForwardNorm: LinearLayer;
  readonly feedForward: LinearLayer;
  readonly feedForwardDrop: Dropout;
  readonly placement: 'pre' | 'post';

  constructor({ attention, feedForward, norm, placement, dropout = 0, init }: BlockShape) {
    super();
    this.attentionNorm = norm();
    this.attention = new Attention(attention);
    this.attentionDrop = new Dropout(dropout, { init });
    this.feedForwardNorm = norm();
    this.feedForward = feedForward;
    this.feedForwardDrop = new Dropout(dropout, { init });
    this.placement = placement;
  }

  /** @param x `[N, dim]` @returns the same shape */
  forward(
    x: Tensor,
    scope: AttentionScope,
    angles: RotaryAngles | null = null,
    bias: AttentionBias | null = null,
  ): Tensor {
    const attend = (rows: Tensor): Tensor =>
      this.attentionDrop.forward(this.attention.forward(rows, scope, angles, bias));
    const feed = (rows: Tensor): Tensor => this.feedForwardDrop.forward(this.feedForward.forward(rows));
    if (this.placement === 'post') {
      const attended = this.attentionNorm.forward(x.add(attend(x)));
      return this.feedForwardNorm.forward(attended.add(feed(attended)));
    }
    const attended = x.add(attend(this.attentionNorm.forward(x)));
    return attended.add(feed(this.feedForwardNorm.forward(attended)));
  }
}
