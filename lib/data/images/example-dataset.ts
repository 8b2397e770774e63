// Images as they are given, scaled already, as records that a sampler draws.

import { createHash } from 'node:crypto';

import * as check from '../../check';
import { packRecords } from '../pack';
import { type ImageBatch, imageBatch, type ImageExample, labelsOf } from './image-batch';

/** Training records: one image a record. They are checked here, before anything is drawn. */
export class ImageExampleDataset {
  /**
   * @throws ERR_INVALID_ARGUMENT for what {@link imageBatch} refuses.
   * @example engine.batches(new data.ImageExampleDataset(images, [1, 28, 28]))
   */
  constructor(
    readonly images: readonly ImageExample[],
    readonly shape: readonly [channels: number, height: number, width: number],
  ) {
    check.objects('ImageExampleDataset', { images });
    imageBatch([], shape);
    for (const image of images) imageBatch([image], shape);
    labelsOf(images);
  }

  get length(): number {
    return this.images.length;
  }

  /**
   * Physical batches of one logical batch; a row is an image.
   *
   * @throws ERR_INVALID_ARGUMENT for records outside the dataset.
   */
  pack(recordIds: Int32Array, { rowBudget }: { readonly rowBudget: number }): ImageBatch[] {
    for (const record of recordIds) check.integer('pack', { record }, 0, this.length - 1);
    const groups = packRecords(recordIds, new Int32Array(recordIds.length).fill(1), { rowBudget });
    return groups.map((group, k) =>
      imageBatch(
        Array.from(group, (record) => this.images[record] as ImageExample),
        this.shape,
        { recordIds: group, completesStep: k === groups.length - 1 },
      ),
    );
  }

  /** SHA-256 over all images and labels, as hexadecimal text; computed from private data without noise, as that of texts. */
  fingerprint(): string {
    const hash = createHash('sha256').update(`phantomgrad images 1: ${this.length} of [${this.shape.join(', ')}]\n`);
    for (const { pixels, label = [] } of this.images) {
      hash.update(new Uint8Array(Float64Array.from(pixels).buffer));
      hash.update(`${JSON.stringify(typeof label === 'number' ? label : Array.from(label))}\n`);
    }
    return hash.digest('hex');
  }
}
