// Some images side by side, as image models take them.

import * as check from '../../check';
import { raise } from '../../errors';

export interface ImageExample {
  /** Channels, then rows, then columns, one after another; scaled as the model wants them (Hugging Face's `pixel_values`). */
  readonly pixels: ArrayLike<number>;
  /** Its class, its value, or one 0 or 1 for each label. */
  readonly label?: number | ArrayLike<number>;
}

/** Images of one size. */
export interface ImageRows {
  readonly samples: number;
  /** Channels, height, width. */
  readonly shape: readonly [channels: number, height: number, width: number];
  /** `[B × channels × height × width]` */
  readonly pixels: Float64Array;
  /** `[B + 1]` one row a sample. */
  readonly offsets: BigInt64Array;
}

export interface ImageBatch extends ImageRows {
  /** `[B × k]` k numbers for each image. */
  readonly label?: Float64Array;
  /** `[B]` record of each image: dropout is keyed by it. */
  readonly recordIds?: Int32Array;
  /** True for the last physical batch of its logical batch. */
  readonly completesStep: boolean;
  /** Logical step, the other half of the key of dropout. */
  readonly step?: number;
}

export type ImageBatchOptions = Partial<Pick<ImageBatch, 'recordIds' | 'completesStep' | 'step'>>;

/**
 * Lays images out as one physical batch.
 *
 * @param shape  Channels, height, width of every image.
 * @throws ERR_INVALID_ARGUMENT for images of another size, pixels that are not finite, or labels that only some of the images have.
 * @example model.logits(imageBatch([{ pixels }], [3, 224, 224]))
 */
export function imageBatch(
  images: readonly ImageExample[],
  shape: readonly [number, number, number],
  given: ImageBatchOptions = {},
): ImageBatch {
  check.objects('imageBatch', { images });
  check.list('imageBatch', { shape });
  check.integer('imageBatch', { 'shape.length': shape.length }, 3, 3);
  check.onlyKnown('imageBatch', given, ['recordIds', 'completesStep', 'step']);
  const { completesStep = true, ...options } = given;
  for (const size of shape) check.integer('imageBatch', { shape: size }, 1);
  const each = shape[0] * shape[1] * shape[2];
  const all = new Float64Array(images.length * each);
  images.forEach(({ pixels }, b) => {
    check.row('images', { [`pixels of image ${b}`]: pixels });
    if (pixels.length !== each)
      raise(
        'ERR_INVALID_ARGUMENT',
        `images: image ${b} has ${pixels.length} pixels, [${shape.join(', ')}] are ${each}.`,
      );
    all.set(pixels, b * each);
  });
  const odd = all.findIndex((value) => !Number.isFinite(value));
  if (odd >= 0) {
    const b = Math.floor(odd / each);
    raise('ERR_INVALID_ARGUMENT', `images: pixel ${odd - b * each} of image ${b} is ${all[odd]}, not a finite number.`);
  }
  const label = labelsOf(images);
  return {
    samples: images.length,
    shape,
    pixels: all,
    offsets: BigInt64Array.from({ length: images.length + 1 }, (_, b) => BigInt(b)),
    ...(label === null ? {} : { label }),
    ...options,
    completesStep,
  };
}

/** @internal `[B × k]` labels of all images, or null for none. @throws ERR_INVALID_ARGUMENT when only some have them. */
export function labelsOf(images: readonly ImageExample[]): Float64Array | null {
  const given = images.map(({ label }) => (typeof label === 'number' ? [label] : Array.from(label ?? [])));
  const width = given[0]?.length ?? 0;
  const odd = given.findIndex((numbers) => numbers.length !== width);
  if (odd >= 0)
    raise(
      'ERR_INVALID_ARGUMENT',
      `images: image ${odd} has ${given[odd]!.length} numbers as its label, the first image has ${width}.`,
    );
  return width === 0 ? null : Float64Array.from(given.flat());
}
