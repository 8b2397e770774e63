// Classification and regression of whole images: one pooled row an image, and a head on it.

import type { ImageBatch, ImageRows } from '../../data';
import { raise } from '../../errors';
import { Module, type Parameter, Segments, withSegments } from '../../nn';
import { beside, type Tensor, tidy } from '../../tensor';
import type { AttentionScope } from './attention';
import { PretrainedModel } from './model';
import { labelLoss, type ProblemType } from './sequence-classifier';

/** What every backbone that reads images offers. */
export abstract class ImageBackbone extends Module {
  /** Width of the rows. */
  abstract readonly dim: number;
  /** Channels, height, width. */
  abstract readonly shape: readonly [number, number, number];
  /** Rows that stand before the patches. */
  abstract readonly extraRows: number;
  /** Rows of one image, with those that stand for the whole. */
  abstract readonly rowsPerImage: number;
  /** Values that one image keeps for the backward pass, roughly. */
  abstract readonly activationsPerImage: number;

  /** @param pixels `[B, channels, height, width]` in segments of one row each @returns `[B, rowsPerImage, dim]` */
  abstract embed(pixels: Tensor): Tensor;

  /** @param rows `[B * rowsPerImage, dim]` in segments of `rowsPerImage` each @returns the same shape */
  abstract encode(rows: Tensor, scope: AttentionScope): Tensor;

  /**
   * The rows that stand for an image; here those before its patches.
   *
   * @param hidden `[B, rowsPerImage, dim]` in segments of one such image each @returns `[B, k, dim]`
   */
  pool(hidden: Tensor): Tensor {
    return hidden.narrow(1, 0, this.extraRows);
  }
}

/** `[B, extraRows, dim]` rows that stand for images to `[B, labels]`. */
export type ImageHead = Module & { forward(rows: Tensor): Tensor };

export class ImageClassifier extends PretrainedModel {
  constructor(
    readonly backbone: ImageBackbone,
    readonly head: ImageHead,
    readonly problem: ProblemType,
  ) {
    super();
  }

  /** A row of a physical batch is an image. */
  packing(): { bytesPerRow: number } {
    return { bytesPerRow: 4 * this.backbone.activationsPerImage };
  }

  /**
   * Cross entropy, squared error or binary cross entropy, by the `problem_type` of the configuration.
   *
   * @returns `[B]` @throws ERR_INVALID_ARGUMENT for images of another size, and labels that are missing or out of range
   */
  loss(batch: ImageBatch): Tensor {
    return this.#run(batch, (logits) => labelLoss(logits, batch, this.problem));
  }

  /** `[B, labels]`. */
  logits(images: ImageRows): Tensor {
    return this.#run(images, (logits) => logits);
  }

  #run(images: ImageRows, use: (logits: Tensor) => Tensor): Tensor {
    const { backbone } = this;
    const { shape, samples, pixels } = images;
    if (shape.join() !== backbone.shape.join())
      raise(
        'ERR_INVALID_ARGUMENT',
        `images: the model reads images of [${backbone.shape.join(', ')}], got [${shape.join(', ')}]. Resize them.`,
      );
    using single = Segments.of(images);
    return tidy(() => {
      const { dim, rowsPerImage } = backbone;
      const [own] = backbone.parameters() as [Parameter, ...Parameter[]];
      const embedded = withSegments(single, () =>
        backbone.embed(beside(own, pixels, [samples, ...shape]).to(own.dtype)),
      );
      using rows = single.withOffsets(single.offsets.map((b) => b * BigInt(rowsPerImage)));
      const scope = { texts: rows.cuSeqlens, textKeys: rows.sampleKeys, cache: null };
      const hidden = withSegments(rows, () => backbone.encode(embedded.reshape([-1, dim]), scope));
      const pooled = (): Tensor => backbone.pool(hidden.view([samples, rowsPerImage, dim]));
      return withSegments(single, () => use(this.head.forward(pooled())));
    });
  }
}
