// Images with classes as training records.

import { createHash } from 'node:crypto';
import * as check from '../../check';
import { raise } from '../../errors';
import { packRecords } from '../pack';
import type { ImageBatch } from './image-batch';

export interface ImageOptions {
  /** Of each channel, on the scale 0..1. From public knowledge: statistics of the private images would not be covered by ε. Default 0. */
  readonly mean?: readonly number[];
  /** Default 1. */
  readonly std?: readonly number[];
  /** Rows of one image in the model, for the memory budget: 1 (default) for convolutions, patches + 1 for a vision Transformer. */
  readonly rowsEach?: number;
}

/** What a reader hands over. */
export interface RawImages {
  /** channels, height, width. */
  readonly shape: readonly [number, number, number];
  /** All images one after another, each plane by plane. */
  readonly bytes: Uint8Array;
  readonly classes: Uint32Array;
  /** Names of the classes. */
  readonly labels: readonly string[];
}

export interface ImagePackOptions {
  readonly rowBudget: number;
  /** Of no meaning for images: refused unless it holds `rowsEach`. */
  readonly maxLength?: number;
  readonly targets?: 'all' | 'last';
  readonly step?: number;
}

/** Records of one image each, for `engine.batches`. */
export class ImageDataset {
  /** channels, height, width. */
  readonly shape: readonly [number, number, number];
  /** Names of the classes; class c is `labels[c]`. */
  readonly labels: readonly string[];
  readonly rowsEach: number;
  readonly #raw: RawImages;
  readonly #mean: readonly number[];
  readonly #std: readonly number[];

  /** @throws ERR_INVALID_ARGUMENT for options that do not fit the channels, or images that do not fit the shape. */
  constructor(raw: RawImages, options: ImageOptions = {}) {
    check.onlyKnown('ImageDataset', options, ['mean', 'std', 'rowsEach']);
    check.object('ImageDataset', { raw });
    check.list('ImageDataset', { shape: raw.shape });
    check.row('ImageDataset', { bytes: raw.bytes });
    check.row('ImageDataset', { classes: raw.classes });
    check.list('ImageDataset', { labels: raw.labels });
    const [channels, height, width] = raw.shape;
    const { mean = zeros(channels), std = zeros(channels).map(() => 1), rowsEach = 1 } = options;
    check.integer('ImageDataset', { rowsEach }, 1);
    check.integer('ImageDataset', { means: mean.length }, channels, channels);
    check.integer('ImageDataset', { stds: std.length }, channels, channels);
    for (const value of std) check.positive('ImageDataset', { std: value });
    check.integer('ImageDataset', { images: raw.classes.length }, 1);
    const bytes = raw.classes.length * channels * height * width;
    check.integer('ImageDataset', { bytes: raw.bytes.length }, bytes, bytes);
    for (const label of raw.classes) check.integer('ImageDataset', { class: label }, 0, raw.labels.length - 1);
    this.#raw = raw;
    this.#mean = mean;
    this.#std = std;
    this.shape = raw.shape;
    this.labels = raw.labels;
    this.rowsEach = rowsEach;
  }

  get length(): number {
    return this.#raw.classes.length;
  }

  lengthOf(record: number): number {
    check.integer('ImageDataset', { record }, 0, this.length - 1);
    return this.rowsEach;
  }

  /** The bytes of an image, plane by plane, a view. */
  image(record: number): Uint8Array {
    check.integer('ImageDataset', { record }, 0, this.length - 1);
    const size = this.shape[0] * this.shape[1] * this.shape[2];
    return this.#raw.bytes.subarray(record * size, (record + 1) * size);
  }

  classOf(record: number): number {
    check.integer('ImageDataset', { record }, 0, this.length - 1);
    return this.#raw.classes[record]!;
  }

  /** Physical batches of one logical batch; one without images for an empty draw. */
  pack(recordIds: Int32Array, options: ImagePackOptions): ImageBatch[] {
    const { rowBudget, maxLength = Infinity, targets = 'all' } = options;
    check.oneOf('pack', { targets }, ['all']);
    if (maxLength < this.rowsEach)
      raise('ERR_INVALID_ARGUMENT', `pack: the model reads ${maxLength} rows, an image makes ${this.rowsEach}.`);
    const rows = Array.from(recordIds, (record) => this.lengthOf(record));
    const groups = packRecords(recordIds, rows, { rowBudget });
    return groups.map((group, k) => this.#batch(group, k === groups.length - 1));
  }

  /**
   * SHA-256 over shape, settings, pixels and classes, as hexadecimal text. Computed from private data without noise: it belongs into a
   * private checkpoint, not into a published statement.
   */
  fingerprint(): string {
    const { shape, labels, rowsEach, length } = this;
    const hash = createHash('sha256');
    const settings = { shape, labels, rowsEach, length, mean: this.#mean, std: this.#std };
    hash.update(`phantomgrad images 1: ${JSON.stringify(settings)}\n`);
    hash.update(this.#raw.bytes);
    hash.update(Buffer.from(this.#raw.classes.buffer, this.#raw.classes.byteOffset, this.#raw.classes.byteLength));
    return hash.digest('hex');
  }

  #batch(recordIds: Int32Array, completesStep: boolean): ImageBatch {
    const [channels, height, width] = this.shape;
    const plane = height * width;
    const pixels = new Float64Array(recordIds.length * channels * plane);
    recordIds.forEach((record, b) => {
      const image = this.image(record);
      for (let at = 0; at < image.length; at++) {
        const channel = Math.floor(at / plane);
        pixels[b * image.length + at] = (image[at]! / 255 - this.#mean[channel]!) / this.#std[channel]!;
      }
    });
    const samples = recordIds.length;
    return {
      samples,
      shape: this.shape,
      pixels,
      label: Float64Array.from(recordIds, (record) => this.classOf(record)),
      offsets: BigInt64Array.from({ length: samples + 1 }, (_, b) => BigInt(b)),
      recordIds,
      completesStep,
    };
  }
}

function zeros(count: number): number[] {
  return Array.from({ length: count }, () => 0);
}
