// Packing: what the sampler drew is what the batches hold, in rows without padding.

import { fc, test as property } from '@fast-check/jest';
import { historyRows, pack, packRecords, SequenceDataset, type Batch } from '../../../lib/data';
import { thrown } from './support';

const sequences = fc.array(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 15 }), {
  minLength: 1,
  maxLength: 25,
});
const anyBatch = fc.record({
  sequences,
  rowBudget: fc.integer({ min: 1, max: 40 }),
  maxLength: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
  drawn: fc.infiniteStream(fc.boolean()),
});

interface Sample {
  record: number;
  ids: number[];
  targets: number[];
  positions: number[];
}

function samplesOf(batch: Batch): Sample[] {
  const part = (array: BigInt64Array, b: number): number[] =>
    Array.from(array.subarray(Number(batch.offsets[b]), Number(batch.offsets[b + 1])), Number);
  return Array.from(batch.recordIds, (record, b) => ({
    record,
    ids: part(batch.ids, b),
    targets: part(batch.targets, b),
    positions: part(batch.positions, b),
  }));
}

describe('pack', () => {
  property.prop([anyBatch])(
    'holds every drawn record once, cut to its most recent items, and nothing else',
    ({ sequences, rowBudget, maxLength, drawn }) => {
      const dataset = SequenceDataset.from(sequences, 30);
      const recordIds = Int32Array.from(sequences.keys()).filter(() => drawn.next().value as boolean);
      const batches = pack(dataset, recordIds, { rowBudget, ...(maxLength === undefined ? {} : { maxLength }) });
      const samples = batches.flatMap(samplesOf).sort((a, b) => a.record - b.record);
      expect(samples.map(({ record }) => record)).toEqual([...recordIds]);
      for (const { record, ids, targets, positions } of samples) {
        const cut = sequences[record]!.slice(-(maxLength ?? Infinity) - 1);
        expect(ids).toEqual(cut.slice(0, -1));
        expect(targets).toEqual(cut.slice(1));
        const first = maxLength === undefined ? 0 : maxLength - ids.length;
        expect(positions).toEqual(ids.map((_, k) => first + k));
      }
      for (const batch of batches) {
        expect(batch.rows).toBe(batch.ids.length);
        expect(batch.samples).toBe(batch.recordIds.length);
        expect(Number(batch.offsets[batch.samples])).toBe(batch.rows);
        expect(batch.rows <= rowBudget || batch.samples === 1).toBe(true);
      }
      expect(batches.map(({ completesStep }) => completesStep)).toEqual(
        batches.map((_, k) => k === batches.length - 1),
      );
    },
  );

  property.prop([anyBatch])('does not depend on the order of the draw', ({ sequences, rowBudget }) => {
    const dataset = SequenceDataset.from(sequences, 30);
    const ascending = Int32Array.from(sequences.keys());
    expect(pack(dataset, ascending.slice().reverse(), { rowBudget })).toEqual(pack(dataset, ascending, { rowBudget }));
  });

  test('an empty draw is one batch without rows that completes the step', () => {
    const batches = SequenceDataset.from([[1, 2]], 2).pack(new Int32Array(0), { rowBudget: 8, maxLength: 4 });
    expect(batches).toHaveLength(1);
    expect(batches[0]).toMatchObject({ samples: 0, rows: 0, completesStep: true, offsets: BigInt64Array.of(0n) });
  });

  test('a history of one item stays as a sample without rows', () => {
    const [batch] = SequenceDataset.from([[1, 2], [2]], 2).pack(Int32Array.of(0, 1), { rowBudget: 8 });
    expect(batch).toMatchObject({
      samples: 2,
      rows: 1,
      offsets: BigInt64Array.of(0n, 1n, 1n),
      recordIds: Int32Array.of(0, 1),
    });
  });

  test('with last targets one row of each sample counts, the most recent', () => {
    const dataset = SequenceDataset.from([[1, 2, 3, 4], [5], [1, 2, 3]], 5);
    const [batch] = dataset.pack(Int32Array.of(0, 1, 2), { rowBudget: 99, targets: 'last' });
    expect(batch!.weights).toEqual(Float32Array.of(0, 0, 1, 0, 1));
    expect(dataset.pack(Int32Array.of(0), { rowBudget: 99 })[0]!.weights).toBeUndefined();
  });

  test('refuses records outside the dataset and options out of range', async () => {
    const dataset = SequenceDataset.from([[1, 2]], 2);
    for (const action of [
      () => dataset.pack(Int32Array.of(1), { rowBudget: 9 }),
      () => dataset.pack(Int32Array.of(0), { rowBudget: 0 }),
      () => dataset.pack(Int32Array.of(0), { rowBudget: 9, maxLength: 0 }),
      () => dataset.pack(Int32Array.of(0), { rowBudget: 9, targets: 'first' as never }),
    ]) {
      expect(await thrown(action)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
  });
});

test('packRecords puts similar lengths together', () => {
  const groups = packRecords(Int32Array.of(0, 1, 2, 3, 4, 5), [9, 1, 8, 2, 9, 1], { rowBudget: 18 });
  expect(groups.map((group) => [...group])).toEqual([
    [0, 4],
    [2, 3, 1, 5],
  ]);
});

describe('historyRows', () => {
  test('takes the most recent items, and the last row stands where the last training row stood', () => {
    const rows = historyRows([Int32Array.of(1, 2, 3, 4), Int32Array.of(7), new Int32Array(0)], { maxLength: 3 });
    expect(rows).toEqual({
      samples: 3,
      rows: 4,
      ids: BigInt64Array.of(2n, 3n, 4n, 7n),
      positions: BigInt64Array.of(0n, 1n, 2n, 2n),
      offsets: BigInt64Array.of(0n, 3n, 4n, 4n),
    });
  });
});
