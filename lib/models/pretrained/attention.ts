// Multi-head attention as checkpoints have it: projections fused or apart, fewer heads for keys than for queries, rotary positions.

import { Module } from '../../nn';
import { segmentsForDropout } from '../../nn/dropout';
import { type Tensor, torch } from '../../tensor';
import { attendInBlocks, type AttentionBlocks } from './attention-blocks';
import { linearLayer, type LinearLayer, type LinearShape } from './layers';
import { rotate, type RotaryAngles } from './rotary';
import type { TextScope } from './text-scope';

export interface AttentionShape extends LinearShape {
  readonly dim: number;
  readonly heads: number;
  /** Heads of keys and values, each read by heads / keyHeads heads of queries. Default: heads. */
  readonly keyHeads?: number;
  /** Default dim / heads. */
  readonly headDim?: number;
  readonly causal: boolean;
  /** One product for queries, keys and values, in this order. Default false. */
  readonly fused?: boolean;
  /** Of the keys, where they are apart. Default: `bias`. */
  readonly keyBias?: boolean;
  /** Of the output projection. Default: `bias`. */
  readonly outBias?: boolean;
  /** Probability with which an attention weight is dropped while training. Default 0. */
  readonly dropout?: number;
  /** Logits are multiplied by this. Default 1/√headDim. */
  readonly scale?: number;
  /** Standard deviations of the initial weights of queries and of the output projection. Default: `std`. */
  readonly queryStd?: number;
  readonly outStd?: number;
}

/** What attention reads of its surroundings. */
export type AttentionScope = Pick<TextScope, 'texts' | 'textKeys' | 'cache' | 'prefix'>;

/** What is added to the logits of attention. */
export interface AttentionBias {
  /** `[samples or 1, heads, queries, keys]`; of the next token, where the tokens before are kept: `[texts or 1, heads, 1, keys]`. */
  readonly values: Tensor;
  /** How the rows lie in those blocks; null where the tokens before are kept. */
  readonly blocks: AttentionBlocks | null;
}

/** softmax(scale Q Kᵀ + bias) V inside every text, for each head, between linear projections. */
export class Attention extends Module {
  /** `[Q; K; V]`, where they are fused. */
  readonly qkv: LinearLayer | null;
  readonly query: LinearLayer | null;
  readonly key: LinearLayer | null;
  readonly value: LinearLayer | null;
  readonly out: LinearLayer;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  readonly causal: boolean;
  readonly dropout: number;
  /** What queries are multiplied by, beside the 1/√headDim of the operator. */
  readonly queryScale: number;
  readonly seed: number;
  readonly site: number;

  constructor(shape: AttentionShape) {
    super();
    const { dim, heads, keyHeads = heads, headDim = dim / heads, causal, fused = false, dropout = 0, init } = shape;
    const inner = heads * headDim;
    const keys = keyHeads * headDim;
    this.qkv = fused ? linearLayer(dim, inner + 2 * keys, shape) : null;
    this.query = fused ? null : linearLayer(dim, inner, spread(shape, shape.queryStd));
    this.key = fused ? null : linearLayer(dim, keys, { ...shape, bias: shape.keyBias ?? shape.bias ?? true });
    this.value = fused ? null : linearLayer(dim, keys, shape);
    this.out = linearLayer(inner, dim, spread({ ...shape, bias: shape.outBias ?? shape.bias ?? true }, shape.outStd));
    this.heads = heads;
    this.keyHeads = keyHeads;
    this.headDim = headDim;
    this.causal = causal;
    this.dropout = dropout;
    this.queryScale = (shape.scale ?? 1 / Math.sqrt(headDim)) * Math.sqrt(headDim);
    this.seed = init.seed;
    this.site = init.site();
  }

  /**
   * @param x `[N, dim]` @param angles Turns queries and keys by their positions. @param bias Default: nothing is added.
   * @returns `[N, dim]`
   */
  forward(
    x: Tensor,
    scope: AttentionScope,
    angles: RotaryAngles | null = null,
    bias: AttentionBias | null = null,
  ): Tensor {
    let [query, key, value] = this.#project(x);
    if (angles !== null) [query, key] = [rotate(query, this.headDim, angles), rotate(key, this.headDim, angles)];
    if (Math.abs(this.queryScale - 1) > Number.EPSILON * 4) query = query.mul(this.queryScale);
    const { cache, prefix = null } = scope;
    if (cache?.started === true) return this.out.forward(cache.attend(this, query, key, value, bias?.values));
    if (prefix !== null) [query, key, value] = prefix.join(this, query, key, value);
    cache?.store(this, key, value);
    key = this.#everyHead(key);
    value = this.#everyHead(value);
    const drop = this.training && this.dropout > 0;
    if (bias !== null) {
      const mixed = attendInBlocks(query, key, value, bias.blocks!, {
        heads: this.heads,
        scale: 1 / Math.sqrt(this.headDim),
        bias: bias.values,
        dropout: drop ? { p: this.dropout, seed: this.seed, site: this.site } : null,
      });
      return this.out.forward(mixed);
    }
    const mixed = torch.ops.phantomgrad.attention(query, key, value, prefix?.texts ?? scope.texts, {
      heads: this.heads,
      causal: this.causal,
      seed: this.seed,
      site: this.site,
      ...(drop
        ? { dropout: this.dropout, step: segmentsForDropout('Attention').step, sample_keys: scope.textKeys }
        : {}),
    });
    return this.out.forward(prefix === null ? mixed : prefix.drop(mixed));
  }

  #project(x: Tensor): [Tensor, Tensor, Tensor] {
    if (this.qkv === null) return [this.query!.forward(x), this.key!.forward(x), this.value!.forward(x)];
    const keys = this.keyHeads * this.headDim;
    return this.qkv.forward(x).splitWithSizes([this.heads * this.headDim, keys, keys], -1) as [Tensor, Tensor, Tensor];
  }

  // [N, keyHeads * headDim] -> [N, heads * headDim]: neighbouring heads of queries share a head of keys.
  #everyHead(rows: Tensor): Tensor {
    if (this.keyHeads === this.heads) return rows;
    const [count, repeats] = [rows.shape[0] as number, this.heads / this.keyHeads];
    return rows
      .view([count, this.keyHeads, 1, this.headDim])
      .expand([-1, -1, repeats, -1])
      .reshape([count, this.heads * this.headDim]);
  }
}

/** @internal The shape of a layer that starts with a standard deviation of its own. */
export const spread = (shape: LinearShape, std: number | undefined): LinearShape =>
  std === undefined ? shape : { ...shape, std };
