// Stochastic depth: while training, all that a part of a layer would add to a sample is dropped together (arXiv 1603.09382).

import * as check from '../../check';
import { type Initializer, Module } from '../../nn';
import { segmentsForDropout } from '../../nn/dropout';
import { beside, ones, type Tensor, torch } from '../../tensor';

export class DropPath extends Module {
  readonly p: number;
  readonly seed: number;
  readonly site: number;

  /** @param p  Probability of dropping, at least 0 and below 1. */
  constructor(p: number, { init }: { readonly init: Initializer }) {
    super();
    check.between('DropPath', { p }, -1, 1);
    this.p = p;
    this.seed = init.seed;
    this.site = init.site();
  }

  /**
   * @param rows `[N, dim]` of the surrounding segments @returns the same shape: rows of a sample are all 0, or all divided by 1 − p
   * @throws ERR_BATCH_DIMENSION while training without segments, or in segments without record ids
   */
  forward(rows: Tensor): Tensor {
    if (!this.training || this.p === 0) return rows;
    const segments = segmentsForDropout('DropPath');
    const { samples, offsets, sampleKeys, step } = segments;
    using single = segments.single();
    const kept = torch.ops.phantomgrad.dropout(ones([samples, 1], { dtype: rows.dtype, device: rows.device }), this.p, {
      seed: this.seed,
      step,
      site: this.site,
      cu_seqlens: single.cuSeqlens,
      sample_keys: sampleKeys,
    });
    const owner = new BigInt64Array(segments.rows);
    for (let b = 0; b < samples; b++) owner.fill(BigInt(b), Number(offsets[b]), Number(offsets[b + 1]));
    return rows.mul(kept.indexSelect(0, beside(rows, owner)));
  }
}
