// `train images`: images into classes, from CIFAR-10's binary files or a folder with one folder a class.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { cifar10, type ImageBatch, type ImageDataset, imageFolder } from '../../data';
import { raise } from '../../errors';
import { fromPretrained, type ImageClassifier } from '../../models';
import type { Json } from '../../models/pretrained/config';
import { classesOf, type Exam, type HeldOut, majority } from './exam';
import type { Material, Task } from './material';
import { type CommonOptions, DEFAULTS } from './options';
import { maker, sourceOf } from './source';
import { firstOf } from './subset';

export interface ImageOptions extends CommonOptions {
  /**
   * CIFAR-10 in its binary layout (a file, or a folder with data_batch_*.bin and test_batch.bin, also gzipped), or a folder with the folders
   * train and test, in each one folder a class with PPM or PGM files.
   */
  readonly data: string;
  readonly test?: string;
  /** Of each channel on the scale 0..1, from public knowledge. Default 0.5 everywhere. */
  readonly mean?: readonly number[];
  /** Default 0.5 everywhere. */
  readonly std?: readonly number[];
}

const NAME = 'train images';

export const images: Task<ImageOptions, ImageClassifier> = {
  name: 'images',
  defaults: {
    preset: 'tiny-vit',
    epochs: { pretrained: 10, scratch: 30 },
    learningRate: { pretrained: 1e-3, scratch: 2e-3 },
    groupScale: { pretrained: 1, scratch: 1 },
    average: { pretrained: 0, scratch: 0 },
  },
  keys: ['mean', 'std'],

  async prepare(options, common): Promise<Material<ImageClassifier>> {
    const { mean, std } = options;
    const scale = { ...(mean && { mean }), ...(std && { std }) };
    const source = await sourceOf(common);
    const places = placesOf(options.data, options.test);
    const train = await readImages(places.train, scale);
    const held = await readImages(places.test, scale);
    const { labels, shape } = train;
    if (held.labels.join() !== labels.join())
      raise(
        'ERR_DATA_FORMAT',
        `${places.test.join(', ')}: the classes are not those of the images to train on: ${labels.join(', ')}.`,
      );
    const open = { num_channels: shape[0], image_size: [shape[1], shape[2]] };
    const make = maker(source, 'image-classification', common.trains, { labels, open, seed: common.seed });
    await checkShape(make, train);
    checkSame(held, train, places.test);
    const { records, heldOut } = DEFAULTS.quick;
    const measured = common.quick ? Math.min(heldOut, held.length) : held.length;
    return {
      make,
      train: common.quick ? firstOf(train, records) : train,
      exam: examOf(common.quick ? firstOf(held, heldOut) : held, labels.length),
      unit: { one: 'one image', many: 'images' },
      notCovered: [
        'the names of the classes and the size of the images',
        'that images of one person belong together: somebody on many images is hidden less',
      ],
      tokenizer: null,
      settings: { ...scale, labels },
      before: false,
      baselines: () => ({
        majority: majority(
          Array.from({ length: measured }, (_, record) => held.classOf(record)),
          labels.length,
        ),
      }),
    };
  },

  load: (folder) => fromPretrained(folder, { task: 'image-classification' }),

  async exam(model, _folder, data, settings): Promise<Exam<ImageClassifier>> {
    const { labels, mean, std } = settings as Json & { labels: string[]; mean?: number[]; std?: number[] };
    const paths = testOf(data) ?? [data];
    const held = await readImages(paths, { ...(mean && { mean }), ...(std && { std }) });
    if (held.labels.join() !== labels.join())
      raise('ERR_DATA_FORMAT', `${data}: the classes are not those of the model: ${labels.join(', ')}.`);
    if (held.shape.join() !== model.backbone.shape.join()) refuseShape(model, held);
    return examOf(held, labels.length);
  },
};

const examOf = (held: HeldOut<ImageBatch>, classes: number): Exam<ImageClassifier> => ({
  records: held.length,
  measure: (model, tell) => classesOf(model, held, classes, tell),
});

async function checkShape(make: () => Promise<ImageClassifier>, train: ImageDataset): Promise<void> {
  const model = await make();
  try {
    if (train.shape.join() !== model.backbone.shape.join()) refuseShape(model, train);
  } finally {
    model.dispose();
  }
}

function refuseShape({ backbone }: ImageClassifier, { shape }: ImageDataset): never {
  return raise(
    'ERR_INVALID_ARGUMENT',
    `${NAME}: the model reads images of [${backbone.shape.join(', ')}], the data have [${shape.join(', ')}]. Resize them.`,
  );
}

function checkSame(held: ImageDataset, train: ImageDataset, paths: readonly string[]): void {
  if (held.shape.join() === train.shape.join()) return;
  raise(
    'ERR_DATA_FORMAT',
    `${paths.join(', ')}: images must be [${train.shape.join(', ')}], as those to train on, got [${held.shape.join(', ')}].`,
  );
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
const BATCH = /^data_batch_\d+\.bin(\.gz)?$/;

function placesOf(data: string, test: string | undefined): { train: string[]; test: string[] } {
  const held = test === undefined ? testOf(data) : (testOf(test) ?? [test]);
  if (held === null)
    return raise('ERR_INVALID_ARGUMENT', `${NAME}: ${data} holds no test images. Name them with --test.`);
  if (!isFolder(data)) return { train: [data], test: held };
  const batches = readdirSync(data).filter((name) => BATCH.test(name));
  if (batches.length > 0) return { train: batches.sort().map((name) => join(data, name)), test: held };
  return { train: [existsSync(join(data, 'train')) ? join(data, 'train') : data], test: held };
}

/** Test images of a folder; null where it has none of its own. */
function testOf(path: string): string[] | null {
  if (!isFolder(path)) return null;
  const found = ['test_batch.bin', 'test_batch.bin.gz', 'test'].map((name) => join(path, name)).find(existsSync);
  return found === undefined ? null : [found];
}

async function readImages(
  paths: readonly string[],
  scale: { readonly mean?: readonly number[]; readonly std?: readonly number[] },
): Promise<ImageDataset> {
  const [first = ''] = paths;
  // How many channels there are to be scaled, a folder of images says itself.
  const channels = isFolder(first) && scale.mean === undefined ? (await imageFolder(first)).shape[0] : 3;
  const half = Array.from({ length: channels }, () => 0.5);
  const usual = { mean: half, std: half, ...scale };
  return isFolder(first) ? imageFolder(first, usual) : cifar10(paths, usual);
}
