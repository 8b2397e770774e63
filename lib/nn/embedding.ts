// Rows of a table by id, with a per-sample rule.

import * as check from '../check';
import { type Tensor, torch } from '../tensor';
import { LAYER_OPTIONS, type LayerOptions, sharedInitializer } from './initializer';
import { Module } from './module';
import { Parameter } from './parameter';

export interface EmbeddingOptions extends LayerOptions {
  /** The id whose row gets no gradient from this layer. Default: none. Its row starts like the others. */
  readonly paddingId?: number;
  /** Rows are multiplied by this on the way out; √dim in Transformers of the first kind. Default 1. */
  readonly scale?: number;
  /** Standard deviation of the initial rows. Default 0.02. */
  readonly std?: number;
}

const KNOWN = [...LAYER_OPTIONS, 'paddingId', 'scale', 'std'] as const satisfies readonly (keyof EmbeddingOptions)[];

/** A table of `count` rows of `dim` values. */
export class Embedding extends Module {
  /** `[count, dim]`. Give it to a softmax head too, and the two are tied. */
  readonly weight: Parameter;
  readonly paddingId: number;
  readonly scale: number;

  constructor(count: number, dim: number, options: EmbeddingOptions = {}) {
    super();
    check.onlyKnown('Embedding', options, KNOWN);
    check.integer('Embedding', { count }, 1);
    check.integer('Embedding', { dim }, 1);
    const { dtype = 'float32', init = sharedInitializer(), paddingId = -1, scale = 1, std = 0.02 } = options;
    check.integer('Embedding', { paddingId }, -1, count - 1);
    this.weight = new Parameter(init.normal([count, dim], std, dtype));
    this.paddingId = paddingId;
    this.scale = scale;
  }

  /**
   * @param ids int64, any shape @returns `[...ids.shape, dim]`
   * @throws ERR_INVALID_ARGUMENT for an id outside the table
   */
  forward(ids: Tensor): Tensor {
    return torch.ops.phantomgrad.embedding(ids, this.weight, this.paddingId, this.scale);
  }
}
