// The safetensors format: round trips of every type, the published layout, and files made to deceive a reader.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { decodeSafetensors, encodeSafetensors, type StoredArray } from '../../../lib/tensor/safetensors';
import { loadWeights, saveWeights } from '../../../lib/models/weights';
import { tensor, tidyAsync, type Tensor } from '../../../lib/tensor';

const folder = mkdtempSync(join(tmpdir(), 'phantomgrad-safetensors-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A file with this header and data, whatever they say. */
function file(header: string | object, data = new Uint8Array(0), length?: bigint): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([prefix, text, data]);
}

const entry = (dtype: string, shape: number[], begin: number, end: number): object => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

test('a file laid out by hand after the published format is read', () => {
  const header = { __metadata__: { format: 'pt' }, a: entry('F32', [2], 0, 8), b: entry('U8', [1, 3], 8, 11) };
  const data = Buffer.alloc(11);
  data.writeFloatLE(1.5, 0);
  data.writeFloatLE(-2, 4);
  data.set([7, 8, 9], 8);
  const { arrays, metadata } = decodeSafetensors(file(header, data), 'by hand');
  expect(metadata).toEqual({ format: 'pt' });
  expect([...arrays.keys()]).toEqual(['a', 'b']);
  expect(arrays.get('b')).toMatchObject({ dtype: 'U8', shape: [1, 3] });
  const { bytes } = arrays.get('a') as StoredArray;
  expect(Buffer.from(bytes).readFloatLE(4)).toBe(-2);
});

test('a written header is a multiple of 8 bytes and arrays stand by descending element size', () => {
  const arrays = new Map<string, StoredArray>([
    ['flag', { dtype: 'BOOL', shape: [3], bytes: Uint8Array.of(1, 0, 1) }],
    ['b', { dtype: 'F64', shape: [1], bytes: new Uint8Array(8) }],
    ['a', { dtype: 'F64', shape: [], bytes: new Uint8Array(8) }],
  ]);
  const bytes = encodeSafetensors({ arrays, metadata: {} });
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  expect(length % 8).toBe(0);
  const header = JSON.parse(Buffer.from(bytes.subarray(8, 8 + length)).toString()) as Record<
    string,
    { data_offsets: number[] }
  >;
  expect(Object.entries(header).map(([name, { data_offsets }]) => [name, ...data_offsets])).toEqual([
    ['a', 0, 8],
    ['b', 8, 16],
    ['flag', 16, 19],
  ]);
});

test('equal content gives equal bytes, in whatever order it was given', () => {
  const arrays: [string, StoredArray][] = ['y', 'x', '__proto__'].map((name) => [
    name,
    { dtype: 'I16', shape: [2], bytes: new Uint8Array(4) },
  ]);
  const one = encodeSafetensors({ arrays: new Map(arrays), metadata: { k: 'v' } });
  const other = encodeSafetensors({ arrays: new Map(arrays.reverse()), metadata: { k: 'v' } });
  expect(Buffer.from(one).equals(Buffer.from(other))).toBe(true);
  expect([...decodeSafetensors(one, 'it').arrays.keys()].sort()).toEqual(['__proto__', 'x', 'y']);
});

test('an array whose bytes do not fit its shape is not written', () => {
  const arrays = new Map<string, StoredArray>([['a', { dtype: 'F32', shape: [2, 2], bytes: new Uint8Array(12) }]]);
  expect(() => encodeSafetensors({ arrays, metadata: {} })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
  );
});

const eight = new Uint8Array(8);
const hostile: [string, Uint8Array][] = [
  ['nothing', new Uint8Array(0)],
  ['seven bytes', new Uint8Array(7)],
  ['a header longer than the file', file('{}', eight, 1000n)],
  ['a header of 2^63 bytes', file('{}', eight, 2n ** 63n)],
  ['a header that is not JSON', file('{"a":')],
  ['a header that is not UTF-8', file('{}').fill(0xff, 9)],
  ['a header that is an array', file('[]')],
  ['a header that begins with a space', file(' {}')],
  ['metadata that is not text', file({ __metadata__: { a: 1 } })],
  ['an unknown element type', file({ a: entry('F32x', [2], 0, 8) }, eight)],
  ['an element type named like a method', file({ a: entry('toString', [2], 0, 8) }, eight)],
  ['a negative size', file({ a: entry('F32', [-2, -1], 0, 8) }, eight)],
  ['a size that is no whole number', file({ a: entry('F32', [0.5, 4], 0, 8) }, eight)],
  ['sizes whose product overflows', file({ a: entry('F32', [2 ** 52, 2 ** 52], 0, 8) }, eight)],
  ['offsets beyond the data', file({ a: entry('F32', [4], 0, 16) }, eight)],
  ['offsets that run backwards', file({ a: entry('F32', [2], 8, 0) }, eight)],
  ['offsets that do not fit the shape', file({ a: entry('F32', [1], 0, 8) }, eight)],
  ['three offsets', file({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 8, 8] } }, eight)],
  ['two arrays over the same bytes', file({ a: entry('F32', [2], 0, 8), b: entry('F32', [2], 0, 8) }, eight)],
  ['a gap before an array', file({ a: entry('F32', [1], 4, 8) }, eight)],
  ['bytes after the last array', file({ a: entry('F32', [1], 0, 4) }, eight)],
  [
    'the same name twice',
    file(`{"a":${JSON.stringify(entry('F32', [1], 0, 4))},"a":${JSON.stringify(entry('F32', [1], 4, 8))}}`, eight),
  ],
];

test.each(hostile)('%s is refused with the name of the file', (_, bytes) => {
  expect(() => decodeSafetensors(bytes, 'evil.safetensors')).toThrow(
    expect.objectContaining({ code: 'ERR_DATA_FORMAT', message: expect.stringContaining('evil.safetensors') }),
  );
});

test('a file cut off at any byte is refused', () => {
  const whole = file({ a: entry('F32', [2], 0, 8) }, eight);
  for (let length = 0; length < whole.length; length++) {
    expect(() => decodeSafetensors(whole.subarray(0, length), 'cut')).toThrow(
      expect.objectContaining({ code: 'ERR_DATA_FORMAT' }),
    );
  }
});

const types = [
  'float32',
  'float64',
  'float16',
  'bfloat16',
  'int64',
  'int32',
  'int16',
  'int8',
  'uint8',
  'bool',
] as const;

test.each(types)('a tensor of %s comes back bit by bit', async (dtype) => {
  await tidyAsync(async (scope) => {
    const path = join(folder, `${dtype}.safetensors`);
    const original = scope.run<Tensor>(() => tensor([1, 0, 3, 4, 5, 6], { shape: [2, 3] }).to(dtype));
    await saveWeights(path, [['w', original]], { of: dtype });
    const { tensors, metadata } = await loadWeights(path);
    const back = tensors.get('w') as Tensor;
    expect(metadata).toEqual({ of: dtype });
    expect([back.dtype, back.shape]).toEqual([dtype, [2, 3]]);
    expect(back.toTypedArray()).toEqual(original.toTypedArray());
  });
});

test('a view is saved by its values, and empty and single values have their shape', async () => {
  const path = join(folder, 'shapes.safetensors');
  const matrix = tensor([
    [1, 2],
    [3, 4],
  ]);
  await saveWeights(path, [
    ['transposed', matrix.t()],
    ['empty', tensor([], { shape: [0, 4] })],
    ['one', tensor(7)],
  ]);
  const { tensors } = await loadWeights(path);
  expect(tensors.get('transposed')?.toArray()).toEqual([
    [1, 3],
    [2, 4],
  ]);
  expect(tensors.get('empty')?.shape).toEqual([0, 4]);
  expect(tensors.get('one')?.item()).toBe(7);
});

test('writing replaces a file as a whole and leaves nothing beside it', async () => {
  const path = join(folder, 'replaced.safetensors');
  writeFileSync(path, 'something else');
  await saveWeights(path, [['w', tensor([1])]]);
  expect(decodeSafetensors(readFileSync(path), path).arrays.size).toBe(1);
  await expect(saveWeights(join(folder, 'missing', 'x.safetensors'), [['w', tensor([1])]])).rejects.toThrow('ENOENT');
});

test('a missing file is named', async () => {
  await expect(loadWeights(join(folder, 'none.safetensors'))).rejects.toMatchObject({
    code: 'ERR_DATA_FORMAT',
    message: expect.stringContaining('none.safetensors'),
  });
});
