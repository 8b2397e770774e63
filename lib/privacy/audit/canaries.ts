// Canaries: records whose gradient lies on one coordinate of their own, so that what they leave behind can be read off the weights.

import { randomBytes } from 'node:crypto';

import { Embedding, Initializer, Module, Segments, withSegments } from '../../nn';
import { beside, fromTypedArray, noGrad, type Tensor, tidy } from '../../tensor';
import type { PackableData, Packing, PackingOptions, PhysicalBatch, Sampled } from '../batch-stream';
import type { AuditedModel } from './subject';

/** A physical batch of canaries: one row each. */
export interface CanaryBatch extends PhysicalBatch {
  /** `[samples]` number of each canary, from 0. */
  readonly canaries: BigInt64Array;
  readonly offsets: BigInt64Array;
  readonly recordIds: Int32Array;
}

/** Their gradient before clipping, in units of C: clipping must bring it down a hundredfold. */
const SCALE = 100;

/**
 * A model with a table of one weight for every canary beside it. The loss of canary i is 100 C times its weight if it takes part, and
 * 0 if not: then the record is drawn, and leaves nothing, as if it were not there.
 */
export class CanaryModel<B extends PhysicalBatch> extends Module {
  readonly table: Embedding;

  /** @param partakes  `[canaries]` whether each takes part. */
  constructor(
    readonly inner: AuditedModel<B>,
    private readonly partakes: readonly boolean[],
    private readonly maxGradNorm: number,
  ) {
    super();
    this.table = new Embedding(partakes.length, 1, { init: new Initializer(0) });
    noGrad(() => this.table.weight.zero_());
    const [like] = [...inner.namedParameters()];
    if (like !== undefined) this.table.to(like[1].device);
  }

  packing(): Packing {
    return (this.inner as { packing?(): Packing }).packing?.() ?? { bytesPerRow: 2 ** 16 };
  }

  loss(batch: Sampled<B | CanaryBatch>): Tensor {
    if (!('canaries' in batch)) return this.inner.loss(batch);
    using segments = Segments.of(batch);
    return withSegments(segments, () =>
      tidy(() => {
        const weights = this.table.forward(fromTypedArray(batch.canaries, [batch.samples])).view([batch.samples]);
        const scale = Float32Array.from(batch.canaries, (canary) =>
          this.partakes[Number(canary)] === true ? SCALE * this.maxGradNorm : 0,
        );
        return weights.mul(beside(weights, scale, [batch.samples]));
      }),
    );
  }

  /** What each canary's weight fell by. It began at 0. */
  scores(): Float64Array {
    return tidy(() => this.table.weight.detach().to('float64').toTypedArray() as Float64Array).map((weight) => -weight);
  }
}

/** Records, and canaries behind them. Each logical batch is laid out as the records' own batches and one of canaries. */
export class CanaryData<B extends PhysicalBatch> implements PackableData<B | CanaryBatch> {
  readonly length: number;

  /** @param see  Is told what the sampler has drawn. */
  constructor(
    private readonly data: PackableData<B>,
    canaries: number,
    private readonly see: (ids: Int32Array) => void,
  ) {
    this.length = data.length + canaries;
  }

  pack(ids: Int32Array, options: PackingOptions): (B | CanaryBatch)[] {
    this.see(ids);
    const records = this.data.length;
    const canaries = ids.filter((id) => id >= records);
    const own = ids.filter((id) => id < records);
    const batches: (B | CanaryBatch)[] = this.data.pack(own, options);
    if (canaries.length === 0) return batches;
    const last: CanaryBatch = {
      samples: canaries.length,
      completesStep: true,
      canaries: BigInt64Array.from(canaries, (id) => BigInt(id - records)),
      offsets: BigInt64Array.from({ length: canaries.length + 1 }, (_, b) => BigInt(b)),
      recordIds: canaries,
    };
    return [...batches.map((batch) => ({ ...batch, completesStep: false })), last];
  }
}

/** Fair coins from the operating system. */
export function coins(count: number): boolean[] {
  return Array.from(randomBytes(count), (byte) => byte % 2 === 0);
}
