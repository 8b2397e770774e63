// Values survive the way into a tensor and back, bit for bit, whatever their type.

import { test as fuzz } from '@fast-check/jest';
import * as fc from 'fast-check';

import { type DType, fromTypedArray, memory, tensor, type TensorArray } from '../../../lib/tensor';
import { settledMemory } from '../../fixtures/collect';

type Maker = fc.Arbitrary<TensorArray>;

const CARRIERS: readonly (readonly [DType, Maker])[] = [
  ['float32', fc.float32Array({ maxLength: 64 })],
  ['float64', fc.float64Array({ maxLength: 64 })],
  ['int64', fc.bigInt64Array({ maxLength: 64 })],
  ['int32', fc.int32Array({ maxLength: 64 })],
  ['int16', fc.int16Array({ maxLength: 64 })],
  ['int8', fc.int8Array({ maxLength: 64 })],
  ['uint8', fc.uint8Array({ maxLength: 64 })],
  ['bool', fc.uint8Array({ maxLength: 64, max: 1 })],
  ['float16', fc.uint16Array({ maxLength: 64 })],
  ['bfloat16', fc.uint16Array({ maxLength: 64 })],
];

const bytes = (array: ArrayBufferView): string =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('hex');

const wipe = (array: ArrayBufferView): unknown =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength).fill(0);

describe.each(CARRIERS)('%s', (dtype, arrays) => {
  fuzz.prop([arrays])('comes back bit for bit, NaN payloads and signed zeros included', (array) => {
    using x = fromTypedArray(array, [array.length], dtype);
    expect(x.dtype).toBe(dtype);
    expect(x.shape).toEqual([array.length]);
    const back = x.toTypedArray();
    expect(Object.prototype.toString.call(back)).toBe(Object.prototype.toString.call(array));
    expect(bytes(back)).toBe(bytes(array));
  });

  fuzz.prop([arrays])('is a copy in both directions', (array) => {
    fc.pre(array.length > 0);
    const before = bytes(array);
    using x = fromTypedArray(array, [array.length], dtype);
    const out = x.toTypedArray();
    wipe(out);
    expect(bytes(array)).toBe(before);
    wipe(array);
    expect(bytes(x.toTypedArray())).toBe(before);
  });

  fuzz.prop([arrays, fc.nat(63)])('a part of a larger buffer is read from its offset', (array, start) => {
    const part = array.subarray(Math.min(start, array.length));
    using x = fromTypedArray(part, undefined, dtype);
    expect(bytes(x.toTypedArray())).toBe(bytes(part));
  });
});

fuzz.prop([fc.array(fc.array(fc.float(), { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 5 })])(
  'nested arrays of float32 values come back as they were',
  (rows) => {
    using x = tensor(rows);
    expect(x.shape).toEqual([rows.length, 3]);
    expect(x.toArray()).toEqual(rows);
  },
);

fuzz.prop([fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })])(
  'a transposed view is read in row-major order of its own shape',
  (rows, columns) => {
    const values = Float64Array.from({ length: rows * columns }, (_, i) => i);
    using x = fromTypedArray(values, [rows, columns]);
    using flipped = x.t();
    const expected = Array.from({ length: columns }, (_, j) =>
      Array.from({ length: rows }, (_, i) => values[i * columns + j]),
    );
    expect(flipped.toArray()).toEqual(expected);
  },
);

test('bool bytes other than 0 and 1 become 1', () => {
  using x = fromTypedArray(new Uint8Array([0, 1, 2, 255]), [4], 'bool');
  expect([...x.toTypedArray()]).toEqual([0, 1, 1, 1]);
  expect(x.logicalNot().toArray()).toEqual([1, 0, 0, 0]);
});

test('lazy negation and conjugation are resolved before the bytes are copied', () => {
  const x = tensor([1, 2]).to('complex64');
  expect(x.mul(1).conj().imag().toArray()).toEqual([-0, -0]);
  expect(() => x.toTypedArray()).toThrow('complex64 has no typed array');
});

test('half precision is read through float32', () => {
  expect(tensor([1.5, -2], { dtype: 'bfloat16' }).toArray()).toEqual([1.5, -2]);
  expect(fromTypedArray(new Uint16Array([0x3c00, 0xc000]), [2], 'float16').toArray()).toEqual([1, -2]);
  expect(() => fromTypedArray(new Uint16Array(2))).toThrow("'float16' or 'bfloat16'");
  expect(() => fromTypedArray(new Uint32Array(2))).toThrow('no element type');
});

test('the default dtype is float32 for numbers, bool for booleans, int64 for bigints, the array’s own for typed arrays', () => {
  expect(tensor([1, 2]).dtype).toBe('float32');
  expect(tensor(3).shape).toEqual([]);
  expect(tensor([true, false]).dtype).toBe('bool');
  expect(tensor([1n]).dtype).toBe('int64');
  expect(tensor(new Float64Array(6), { shape: [2, 3] }).dtype).toBe('float64');
  expect(tensor(new Int32Array([3]), { dtype: 'float32' }).toArray()).toEqual([3]);
  expect(tensor([]).shape).toEqual([0]);
});

test('an integer dtype refuses what it cannot hold, and uneven rows are refused', () => {
  expect(() => tensor([1.5], { dtype: 'int64' })).toThrow('1.5 is no int64');
  expect(() => tensor([256], { dtype: 'uint8' })).toThrow('256 is no uint8');
  expect(() => tensor([2n ** 63n])).toThrow('is no int64');
  expect(() => tensor([[1, 2], [3]])).toThrow('equal lengths');
  expect(() => tensor([[1], 2])).toThrow('equal lengths');
  expect(() => tensor([1, [2]])).toThrow('expected a number');
  expect(() => tensor(['1'] as never)).toThrow('expected a number');
});

test('item is exact or throws; itemBigInt reads every int64', () => {
  expect(tensor(2 ** 53 - 1, { dtype: 'int64' }).item()).toBe(2 ** 53 - 1);
  const large = tensor(2n ** 53n + 1n);
  expect(() => large.item()).toThrow('itemBigInt');
  expect(() => large.toArray()).toThrow('toTypedArray');
  expect(large.itemBigInt()).toBe(2n ** 53n + 1n);
  expect(tensor(-(2n ** 63n)).itemBigInt()).toBe(-(2n ** 63n));
  expect(tensor(true).item()).toBe(1);
  expect(tensor(0.5).item()).toBe(0.5);
  expect(() => tensor(0.5).itemBigInt()).toThrow('not a whole number');
  expect(() => tensor([1, 2]).item()).toThrow('one element');
});

test('round trips leave no tensor behind', () => {
  const before = settledMemory().tensors;
  for (const [dtype, arrays] of CARRIERS) {
    const [array] = fc.sample(arrays, { numRuns: 1, seed: 7 });
    using x = fromTypedArray(array!, undefined, dtype);
    x.toTypedArray();
    using y = x.to('float32');
    y.toArray();
  }
  expect(memory().tensors).toBe(before);
});
