// Attention from the rows of one text to those of another: what a decoder reads of the text that its encoder has read.

import { Module, type Segments, withSegments } from '../../nn';
import type { Tensor } from '../../tensor';
import { attendInBlocks, type AttentionBlocks } from './attention-blocks';
import { type AttentionShape, spread } from './attention';
import { linearLayer, type LinearLayer } from './layers';
import type { MemoryCache } from './memory-cache';

/** The text that was read. */
export interface Memory {
  /** `[M, dim]` rows of the encoder; none are needed once `cache` holds what layers make of them. */
  readonly rows: Tensor | null;
  /** Which of these rows belong to which sample. Not the segments that surround the decoder. */
  readonly segments: Segments | null;
  /** From rows of the decoder to rows of the encoder. */
  readonly blocks: AttentionBlocks | null;
  /** While generating: what is kept of the text. */
  readonly cache: MemoryCache | null;
}

/** softmax(scale Q Kᵀ) V, queries from one text, keys and values from the other text of the same sample. */
export class CrossAttention extends Module {
  readonly query: LinearLayer;
  readonly key: LinearLayer;
  readonly value: LinearLayer;
  readonly out: LinearLayer;
  readonly heads: number;
  readonly headDim: number;
  readonly scale: number;
  readonly dropout: number;
  readonly seed: number;
  readonly site: number;

  constructor(shape: Omit<AttentionShape, 'causal' | 'fused' | 'keyHeads'>) {
    super();
    const { dim, heads, headDim = dim / heads, init, scale = 1 / Math.sqrt(headDim), dropout = 0 } = shape;
    const inner = heads * headDim;
    this.query = linearLayer(dim, inner, spread(shape, shape.queryStd));
    this.key = linearLayer(dim, inner, shape);
    this.value = linearLayer(dim, inner, shape);
    this.out = linearLayer(inner, dim, spread({ ...shape, bias: shape.outBias ?? shape.bias ?? true }, shape.outStd));
    this.heads = heads;
    this.headDim = headDim;
    this.scale = scale;
    this.dropout = dropout;
    this.seed = init.seed;
    this.site = init.site();
  }

  /** @param x `[N, dim]` rows of the surrounding segments @returns the same shape */
  forward(x: Tensor, { rows, segments, blocks, cache }: Memory): Tensor {
    const query = this.query.forward(x);
    if (cache?.started === true) return this.out.forward(cache.attend(this, query));
    // The rows of the other text belong to the same samples, but they are others, and as many as that text has.
    const [key, value] = withSegments(segments!, () => [this.key.forward(rows!), this.value.forward(rows!)] as const);
    cache?.store(this, key, value, blocks!);
    const drop = this.training && this.dropout > 0;
    const mixed = attendInBlocks(query, key, value, blocks!, {
      heads: this.heads,
      scale: this.scale,
      bias: null,
      dropout: drop ? { p: this.dropout, seed: this.seed, site: this.site } : null,
    });
    return this.out.forward(mixed);
  }
}
