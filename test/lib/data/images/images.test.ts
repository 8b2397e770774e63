// Images keep their pixels and classes from file to batch.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { cifar10, ImageDataset, imageFolder } from '../../../../lib/data';
import { file, shared, temporaryFolder, thrown } from '../support';

const record = (label: number): Buffer =>
  Buffer.from([label, ...Array.from({ length: 3072 }, (_, k) => (k * 7 + label) % 256)]);

test('CIFAR-10: bytes become (byte / 255 - mean) / std of their channel', async () => {
  const path = file('batch.bin.gz', gzipSync(Buffer.concat([record(3), record(9)])));
  const mean = [0.1, 0.2, 0.3];
  const std = [0.5, 0.25, 1];
  const images = await cifar10(path, { mean, std });
  expect([images.length, images.labels[images.classOf(1)]]).toEqual([2, 'truck']);
  const [batch] = images.pack(Int32Array.of(1), { rowBudget: 4 });
  expect(batch).toMatchObject({
    samples: 1,
    shape: [3, 32, 32],
    label: Float64Array.of(9),
    completesStep: true,
  });
  for (const at of [0, 1023, 1024, 2047, 2048, 3071]) {
    const channel = Math.floor(at / 1024);
    const expected = (((at * 7 + 9) % 256) / 255 - mean[channel]!) / std[channel]!;
    expect(batch!.pixels[at]).toBe(expected);
  }
});

test('several files are one data set, in their order', async () => {
  const paths = [1, 2].map((label) => file(`batch${label}.bin`, Buffer.concat([record(label), record(0)])));
  const images = await cifar10(paths);
  expect([0, 1, 2, 3].map((k) => images.classOf(k))).toEqual([1, 0, 2, 0]);
});

test('batches hold every drawn image once, under the budget in rows of the model', async () => {
  const images = await cifar10(file('five.bin', Buffer.concat([0, 1, 2, 3, 4].map(record))), { rowsEach: 65 });
  const batches = images.pack(Int32Array.of(4, 0, 3), { rowBudget: 130 });
  expect(batches.map(({ recordIds, completesStep }) => [[...recordIds!], completesStep])).toEqual([
    [[0, 3], false],
    [[4], true],
  ]);
  expect(batches[0]).toMatchObject({ samples: 2, offsets: BigInt64Array.of(0n, 1n, 2n) });
  const empty = images.pack(new Int32Array(0), { rowBudget: 130 });
  expect(empty).toMatchObject([{ samples: 0, shape: [3, 32, 32], completesStep: true }]);
});

const ppm = (pixels: number[], head = 'P6\n# made here\n2 1\n255\n'): Buffer =>
  Buffer.concat([Buffer.from(head), Buffer.from(pixels)]);
let folders = 0;
function folder(images: Record<string, Buffer>): string {
  const path = join(temporaryFolder(), `images-${folders++}`);
  mkdirSync(path);
  for (const [name, content] of Object.entries(images)) {
    mkdirSync(join(path, name, '..'), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return path;
}

test('a folder of PPM images: classes by name, interleaved pixels become planes', async () => {
  const images = await imageFolder(
    folder({ 'dog/1.ppm': ppm([1, 2, 3, 4, 5, 6]), 'cat/1.ppm': ppm([7, 8, 9, 10, 11, 12]) }),
  );
  expect([images.labels, images.shape, images.classOf(1)]).toEqual([['cat', 'dog'], [3, 1, 2], 1]);
  expect([...images.image(1)]).toEqual([1, 4, 2, 5, 3, 6]);
  const grey = await imageFolder(folder({ 'a/1.pgm': ppm([1, 2], 'P5 2 1 255 ') }));
  expect([grey.shape, [...grey.image(0)]]).toEqual([
    [1, 1, 2],
    [1, 2],
  ]);
});

test('equal images have equal fingerprints; pixels, classes and settings move them', () => {
  const raw = {
    shape: [1, 1, 2] as const,
    bytes: Uint8Array.of(1, 2, 3, 4),
    classes: Uint32Array.of(0, 1),
    labels: ['a', 'b'],
  };
  const prints = [
    new ImageDataset(raw),
    new ImageDataset({ ...raw, bytes: Uint8Array.of(1, 2, 3, 5) }),
    new ImageDataset({ ...raw, classes: Uint32Array.of(1, 1) }),
    new ImageDataset(raw, { mean: [0.5] }),
    new ImageDataset(raw, { rowsEach: 2 }),
  ].map((images) => images.fingerprint());
  expect(new Set(prints).size).toBe(prints.length);
  expect(new ImageDataset({ ...raw }).fingerprint()).toBe(prints[0]);
});

test('what is no image file is refused, by file', async () => {
  const good = ppm([1, 2, 3, 4, 5, 6]);
  for (const action of [
    () => cifar10(file('cut.bin', record(1).subarray(0, 3000))),
    () => cifar10(file('class.bin', Buffer.concat([record(1), record(10)]))),
    () => cifar10('/nowhere/data_batch_1.bin'),
    () => imageFolder('/nowhere'),
    () => imageFolder(folder({})),
    () => imageFolder(folder({ 'a/1.ppm': good.subarray(0, -1) })),
    () => imageFolder(folder({ 'a/1.jpg': Buffer.from('JFIF') })),
    () => imageFolder(folder({ 'a/1.ppm': ppm([0, 1, 2, 3, 4, 5], 'P6 2 1 65535 ') })),
    () => imageFolder(folder({ 'a/1.ppm': good, 'a/2.pgm': ppm([1, 2], 'P5 2 1 255 ') })),
  ]) {
    expect((await thrown(action)).code).toBe('ERR_DATA_FORMAT');
  }
  expect(await thrown(() => cifar10(file('class.bin', Buffer.concat([record(1), record(10)]))))).toMatchObject({
    place: { line: 2 },
  });
});

test('settings that do not fit are refused', async () => {
  const path = file('one.bin', record(1));
  for (const options of [{ mean: [0] }, { std: [1, 0, 1] }, { rowsEach: 0 }, { size: 3 } as object]) {
    expect((await thrown(() => cifar10(path, options))).code).toBe('ERR_INVALID_ARGUMENT');
  }
  const images = await cifar10(path, { rowsEach: 65 });
  for (const options of [{ maxLength: 64 }, { targets: 'last' as const }]) {
    expect((await thrown(() => images.pack(Int32Array.of(0), { rowBudget: 9, ...options }))).code).toBe(
      'ERR_INVALID_ARGUMENT',
    );
  }
});

const test1000 = shared('cifar10/test-1000.bin.gz');
(test1000 === undefined ? test.skip : test)('the CIFAR-10 subset has 1,000 images, 100 of each class', async () => {
  const images = await cifar10(test1000!);
  const counts = new Array<number>(10).fill(0);
  for (let k = 0; k < images.length; k++) counts[images.classOf(k)]! += 1;
  expect(counts).toEqual(new Array(10).fill(100));
});
