// CIFAR-10 in its binary layout: one byte of class, then three planes of 32 x 32 bytes.

import * as check from '../../check';
import { refuse } from '../readers/failure';
import { openSource } from '../readers/source';
import { ImageDataset, type ImageOptions } from './image-dataset';

const LABELS = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];
const PIXELS = 3 * 32 * 32;

/**
 * Reads batches of CIFAR-10 (`data_batch_1.bin` …), also gzipped, as one data set.
 *
 * @throws ERR_DATA_FORMAT for a file that holds no whole number of images, or a class above 9 (with the image counted from 1 as line).
 * @example const train = await data.cifar10([1, 2, 3, 4, 5].map((k) => `cifar/data_batch_${k}.bin`), { mean: [0.5, 0.5, 0.5] });
 */
export async function cifar10(files: string | readonly string[], options: ImageOptions = {}): Promise<ImageDataset> {
  const paths = typeof files === 'string' ? [files] : files;
  check.list('cifar10', { files: paths });
  check.integer('cifar10', { files: paths.length }, 1);
  const parts: Buffer[] = [];
  const classes: number[] = [];
  for (const file of paths) {
    const source = await openSource(file);
    const chunks: Buffer[] = [];
    for await (const chunk of source.bytes()) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    if (bytes.length % (PIXELS + 1) !== 0)
      refuse({ file }, `images of ${PIXELS + 1} bytes`, `${bytes.length} bytes, which is no whole number of them`);
    for (let at = 0; at < bytes.length; at += PIXELS + 1) {
      const label = bytes[at]!;
      if (label > 9) refuse({ file, line: at / (PIXELS + 1) + 1 }, 'a class from 0 to 9', String(label));
      classes.push(label);
      parts.push(bytes.subarray(at + 1, at + 1 + PIXELS));
    }
  }
  const raw = { shape: [3, 32, 32] as const, bytes: Buffer.concat(parts), classes: Uint32Array.from(classes) };
  return new ImageDataset({ ...raw, labels: LABELS }, options);
}
