// The segment scope: operators see the innermost one, and it is always closed again.

import { batchToken, currentSegments, Linear, Segments, withSegments } from '../../../lib/nn';
import { ones } from '../../../lib/tensor';
import { ragged } from './support';

const layer = new Linear(2, 2);
const fits = (rows: number): boolean => {
  try {
    layer
      .forward(ones([rows, 2]))
      .sum()
      .backward();
    return true;
  } catch (error) {
    expect((error as { code: string }).code).toBe('ERR_BATCH_DIMENSION');
    return false;
  }
};

test('scopes nest, and what was open before is open again', () => {
  using outer = ragged([2, 3]);
  using inner = ragged([4]);
  withSegments(outer, () => {
    expect([fits(5), fits(4)]).toEqual([true, false]);
    withSegments(inner, () => {
      expect(currentSegments()).toBe(inner);
      expect([fits(5), fits(4)]).toEqual([false, true]);
    });
    expect(currentSegments()).toBe(outer);
    expect([fits(5), fits(4)]).toEqual([true, false]);
  });
  expect(currentSegments()).toBeNull();
  expect([fits(5), fits(4)]).toEqual([true, true]);
});

test('a scope is closed when its function throws, or returns a promise, which is refused', () => {
  using segments = ragged([2]);
  expect(() =>
    withSegments(segments, () => {
      throw new Error('inside');
    }),
  ).toThrow('inside');
  expect(currentSegments()).toBeNull();
  expect(() => withSegments(segments, () => Promise.resolve())).toThrow('asynchronous');
  expect(currentSegments()).toBeNull();
  expect(fits(7)).toBe(true);
});

test('segments that native code refuses leave the open ones as they were', () => {
  using outer = ragged([2]);
  const falling = new Segments(BigInt64Array.from([0n, 3n, 1n]), undefined, 0, 0);
  withSegments(outer, () => {
    expect(() => withSegments(falling, () => 1)).toThrow(expect.objectContaining({ code: 'ERR_BATCH_DIMENSION' }));
    expect(currentSegments()).toBe(outer);
    expect(fits(2)).toBe(true);
  });
});

test('a batch has one token, and its segments carry it with its record ids and step', () => {
  const batch = { offsets: BigInt64Array.from([0n, 2n, 5n]), recordIds: Int32Array.from([9, 4]), step: 6 };
  using segments = Segments.of(batch);
  expect(segments.token).toBe(batchToken(batch));
  expect(batchToken({ ...batch })).not.toBe(batchToken(batch));
  expect([segments.samples, segments.rows, segments.step]).toEqual([2, 5, 6]);
  expect(segments.sampleKeys.toArray()).toEqual([9, 4]);
  expect(segments.cuSeqlens.toArray()).toEqual([0, 2, 5]);
  expect(segments.keyed).toBe(true);
  using nameless = Segments.of({ offsets: batch.offsets });
  expect(nameless.keyed).toBe(false);
  using single = segments.single();
  expect(single.keyed).toBe(true);
  expect([single.rows, single.token, single.sampleKeys.toArray()]).toEqual([2, segments.token, [9, 4]]);
  using other = segments.withOffsets(BigInt64Array.of(0n, 5n, 5n));
  expect([other.rows, other.token, other.sampleKeys.toArray()]).toEqual([5, segments.token, [9, 4]]);
  expect(() => segments.withOffsets(BigInt64Array.of(0n, 5n))).toThrow(
    expect.objectContaining({ code: 'ERR_BATCH_DIMENSION' }),
  );
  expect(() => Segments.of({ ...batch, recordIds: [1] })).toThrow(
    expect.objectContaining({ code: 'ERR_BATCH_DIMENSION' }),
  );
});
