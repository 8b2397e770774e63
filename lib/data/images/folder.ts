// A folder of images, one folder a class: binary PPM and PGM, the formats that need no decoder.

import { promises as fs } from 'node:fs';
import { join } from 'node:path';
import * as check from '../../check';
import { quote, refuse } from '../readers/failure';
import { unreadable } from '../readers/source';
import { ImageDataset, type ImageOptions, type RawImages } from './image-dataset';

/**
 * Reads `folder/class/image.ppm` (P6) or `.pgm` (P5), 8 bits a channel, all of one size. Classes are the folders in alphabetical order. Other
 * formats are converted before: `mogrify -resize 32x32! -format ppm *.jpg`.
 *
 * Privacy: sizes are those of the files and must be equal; resize to a size that you chose without looking.
 *
 * @throws ERR_DATA_FORMAT (file) for a folder without images, another file, another size, or an image that is cut off.
 */
export async function imageFolder(folder: string, options: ImageOptions = {}): Promise<ImageDataset> {
  check.text('imageFolder', { folder });
  const labels = await namesIn(folder, true);
  if (labels.length === 0) refuse({ file: folder }, 'a folder for every class', 'none');
  const images: Image[] = [];
  const classes: number[] = [];
  for (const [label, name] of labels.entries()) {
    for (const file of await namesIn(join(folder, name), false)) {
      const path = join(folder, name, file);
      const image = parseNetpbm(await readWhole(path), path);
      const [first] = images;
      if (first !== undefined && String(image.shape) !== String(first.shape))
        refuse({ file: path }, `${first.shape.join(' x ')} as in the first image`, image.shape.join(' x '));
      images.push(image);
      classes.push(label);
    }
  }
  const [first] = images;
  if (first === undefined) return refuse({ file: folder }, 'images', 'none');
  const bytes = Buffer.concat(images.map((image) => image.bytes));
  return new ImageDataset({ shape: first.shape, bytes, classes: Uint32Array.from(classes), labels }, options);
}

async function readWhole(file: string): Promise<Buffer> {
  try {
    return await fs.readFile(file);
  } catch (error) {
    return unreadable({ file }, error);
  }
}

type Image = Pick<RawImages, 'shape' | 'bytes'>;

async function namesIn(folder: string, folders: boolean): Promise<string[]> {
  try {
    const entries = await fs.readdir(folder, { withFileTypes: true });
    const visible = entries.filter((entry) => !entry.name.startsWith('.') && entry.isDirectory() === folders);
    return visible.map(({ name }) => name).sort();
  } catch (error) {
    return refuse({ file: folder }, 'a readable folder', (error as Error).message, error);
  }
}

function parseNetpbm(content: Buffer, file: string): Image {
  // "P6 width height 255", separated by white space, comments from # to the line end; then one white space and the pixels.
  const head = content.subarray(0, 1024).toString('latin1');
  const found = /^P([56])(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s/.exec(head);
  if (found === null || found[4] !== '255')
    return refuse({ file }, 'a binary PPM or PGM image of 8 bits (P6 or P5)', quote(head.slice(0, 20)));
  const [channels, width, height] = [found[1] === '6' ? 3 : 1, Number(found[2]), Number(found[3])];
  const pixels = content.subarray(found[0].length);
  if (pixels.length !== channels * width * height || pixels.length === 0)
    refuse({ file }, `${channels * width * height} bytes of pixels`, String(pixels.length));
  const bytes = new Uint8Array(pixels.length);
  const plane = width * height;
  for (let at = 0; at < plane; at++)
    for (let channel = 0; channel < channels; channel++) bytes[channel * plane + at] = pixels[at * channels + channel]!; // interleaved in the file, plane by plane here
  return { shape: [channels, height, width], bytes };
}
