// T5's positions: how far a key stands from a query chooses a learned number for each head (Raffel et al. 2020, arXiv 1910.10683, 2.1).

import { Module, Parameter, perSample } from '../../nn';
import { arange, beside, noGrad, type Tensor, torch } from '../../tensor';
import type { AttentionBias } from './attention';
import type { AttentionBlocks } from './attention-blocks';
import type { Making } from './family';

export interface RelativeBiasShape extends Making {
  readonly heads: number;
  readonly buckets: number;
  /** From this distance on, all share the last bucket. */
  readonly maxDistance: number;
  /** Half of the buckets are for keys that come later; otherwise those share the bucket of the query's own place. */
  readonly bothWays: boolean;
  readonly std: number;
}

export class RelativeBias extends Module {
  /** `[buckets, heads]`. */
  readonly table: Parameter;
  readonly maxDistance: number;
  readonly bothWays: boolean;

  constructor({ heads, buckets, maxDistance, bothWays, std, init, dtype }: RelativeBiasShape) {
    super();
    this.table = new Parameter(init.normal([buckets, heads], std, dtype));
    this.maxDistance = maxDistance;
    this.bothWays = bothWays;
  }

  /**
   * Of every query and every key of a text. Compute it once and give it to all layers: one copy of the table for each sample is
   * what their gradients meet in.
   */
  forward(blocks: AttentionBlocks): AttentionBias {
    const { samples, queries, keys } = blocks;
    const table = perSample(this.table, samples); // [B, buckets, heads]
    const heads = table.shape[2] as number;
    const ids = this.bucketsOf(queries, keys);
    const values = table.indexSelect(1, ids).view([samples, queries, keys, heads]).permute([0, 3, 1, 2]);
    return { values, blocks };
  }

  /** Of the next token of texts of these lengths: `[texts, heads, 1, longest + 1]`. */
  next(lengths: readonly number[]): AttentionBias {
    const most = Math.max(...lengths) + 1;
    const heads = this.table.shape[1] as number;
    const rows = beside(this.table, BigInt64Array.from(lengths, BigInt));
    const ids = this.bucketsOf(most, most).view([most, most]).indexSelect(0, rows).view([-1]);
    const values = this.table.indexSelect(0, ids).view([lengths.length, 1, most, heads]).permute([0, 3, 1, 2]);
    return { values, blocks: null };
  }

  /**
   * int64 `[queries * keys]`. Near distances have a bucket each, far ones share buckets whose widths grow with the logarithm.
   * In float32 on the CPU, as the models were trained: at the edges of buckets another logarithm may say another bucket.
   */
  bucketsOf(queries: number, keys: number): Tensor {
    return noGrad(() => {
      const int = { dtype: 'int64' } as const;
      const { aten } = torch.ops;
      const offsets = arange(0, keys, 1, int)
        .unsqueeze(0)
        .sub(arange(0, queries, 1, int).unsqueeze(1));
      const all = this.table.shape[0] as number;
      const buckets = this.bothWays ? Math.floor(all / 2) : all;
      const distance = this.bothWays ? offsets.abs() : offsets.clampMax(0).neg();
      const exact = Math.floor(buckets / 2);
      const far = distance
        .to('float32')
        .div(exact)
        .log()
        .div(Math.log(this.maxDistance / exact))
        .mul(buckets - exact)
        .to('int64')
        .add(exact)
        .clampMax(buckets - 1);
      // Of distance 0 the logarithm is no number, and what became of it is not chosen.
      const chosen = aten.where(distance.lt(exact), distance, far);
      const numbers = this.bothWays ? chosen.add(offsets.gt(0).to('int64').mul(buckets)) : chosen;
      return numbers.reshape([-1]).to(this.table.device);
    });
  }
}
