// One layer of the decoder of an encoder-decoder model: attention to its own text, to the other one, and a feed-forward network.

import { Dropout, Module } from '../../nn';
import type { Tensor } from '../../tensor';
import { Attention, type AttentionBias, type AttentionScope } from './attention';
import type { BlockShape } from './block';
import { CrossAttention, type Memory } from './cross-attention';
import type { LinearLayer } from './layers';

export class DecoderBlock extends Module {
  readonly attentionNorm: LinearLayer;
  readonly attention: Attention;
  readonly attentionDrop: Dropout;
  readonly crossNorm: LinearLayer;
  readonly cross: CrossAttention;
  readonly crossDrop: Dropout;
  readonly feedForwardNorm: LinearLayer;
  readonly feedForward: LinearLayer;
  readonly feedForwardDrop: Dropout;
  readonly placement: 'pre' | 'post';

  constructor({ attention, feedForward, norm, placement, dropout = 0, init }: BlockShape) {
    super();
    this.attentionNorm = norm();
    this.attention = new Attention({ ...attention, causal: true });
    this.attentionDrop = new Dropout(dropout, { init });
    this.crossNorm = norm();
    this.cross = new CrossAttention(attention);
    this.crossDrop = new Dropout(dropout, { init });
    this.feedForwardNorm = norm();
    this.feedForward = feedForward;
    this.feedForwardDrop = new Dropout(dropout, { init });
    this.placement = placement;
  }

  /** @param x `[N, dim]` @returns the same shape */
  forward(x: Tensor, scope: AttentionScope, memory: Memory, bias: AttentionBias | null = null): Tensor {
    const attended = this.#add(x, this.attentionNorm, (rows) =>
      this.attentionDrop.forward(this.attention.forward(rows, scope, null, bias)),
    );
    const crossed = this.#add(attended, this.crossNorm, (rows) =>
      this.crossDrop.forward(this.cross.forward(rows, memory)),
    );
    return this.#add(crossed, this.feedForwardNorm, (rows) =>
      this.feedForwardDrop.forward(this.feedForward.forward(rows)),
    );
  }

  #add(x: Tensor, norm: LinearLayer, change: (rows: Tensor) => Tensor): Tensor {
    return this.placement === 'post' ? norm.forward(x.add(change(x))) : x.add(change(norm.forward(x)));
  }
}
