// Token records: what was drawn is what the batches hold, and equal fingerprints mean equal training.

import { fc, test as property } from '@fast-check/jest';
import {
  type Objective,
  padIds,
  padRecords,
  type TokenBatch,
  TokenDataset,
  type TokenRecord,
} from '../../../../lib/data';
import { thrown } from '../support';

const SIZE = 50;
const sequence = fc
  .array(fc.tuple(fc.nat(SIZE - 1), fc.constantFrom(-100, 1, 2, 3), fc.nat(1)), { minLength: 1, maxLength: 9 })
  .map((tokens) => ({
    ids: tokens.map(([id]) => id),
    labels: tokens.map(([, label]) => label),
    types: tokens.map(([, , type]) => type),
  }));
const anyData = fc.record({
  records: fc.array(fc.record({ sequences: fc.array(sequence, { minLength: 1, maxLength: 3 }), class: fc.nat(3) }), {
    minLength: 1,
    maxLength: 12,
  }),
  objective: fc.constantFrom<Objective>('causal', 'masked', 'classify'),
  rowBudget: fc.integer({ min: 1, max: 30 }),
  step: fc.nat(1000),
  drawn: fc.infiniteStream(fc.boolean()),
});

const part = (array: BigInt64Array | undefined, { offsets }: TokenBatch, b: number): number[] =>
  Array.from(array!.subarray(Number(offsets[b]), Number(offsets[b + 1])), Number);

property.prop([anyData])('batches hold every drawn record once, with the labels as they were given', (any) => {
  const { records, objective, rowBudget, step } = any;
  const dataset = new TokenDataset(records, { objective, vocabularySize: SIZE, classes: 4 });
  const recordIds = Int32Array.from(records.keys()).filter(() => any.drawn.next().value as boolean);
  const batches = dataset.pack(recordIds, { rowBudget, step });
  const seen: number[] = [];
  batches.forEach((batch, k) => {
    expect(batch.completesStep).toBe(k === batches.length - 1);
    expect(batch.rows <= rowBudget || batch.samples === 1).toBe(true);
    batch.recordIds!.forEach((record, b) => {
      seen.push(record);
      const { ids, labels, types } = records[record]!.sequences[dataset.sequenceAt(record, step)]!;
      expect(part(batch.ids, batch, b)).toEqual(ids);
      if (objective === 'classify') expect(batch.labels).toBeUndefined();
      else expect(part(batch.labels, batch, b)).toEqual(labels);
      expect(part(batch.tokenTypeIds, batch, b)).toEqual(types);
      expect(part(batch.positions, batch, b)).toEqual(ids.map((_, at) => at));
      expect(batch.label![b]).toBe(records[record]!.class);
    });
  });
  expect(seen.sort((a, b) => a - b)).toEqual([...recordIds]);
});

property.prop([anyData])('what a record trains on does not depend on what else was drawn', (any) => {
  const { records, objective, step } = any;
  const dataset = new TokenDataset(records, { objective, vocabularySize: SIZE, classes: 4 });
  const all = dataset.pack(Int32Array.from(records.keys()), { rowBudget: 1, step });
  for (const batch of all) {
    const [alone] = dataset.pack(batch.recordIds!, { rowBudget: 1, step });
    expect({ ...alone, completesStep: true }).toEqual({ ...batch, completesStep: true });
  }
});

test('a record with several sequences trains on all of them, over many steps equally often', () => {
  const sequences = [1, 2, 3].map((id) => ({ ids: [id, id] }));
  const dataset = new TokenDataset([{ sequences }, { sequences }], { objective: 'causal', vocabularySize: 4 });
  const counts = [0, 0, 0];
  let together = 0;
  for (let step = 0; step < 3000; step++) {
    counts[dataset.sequenceAt(0, step)]! += 1;
    if (dataset.sequenceAt(0, step) === dataset.sequenceAt(1, step)) together += 1;
  }
  // Five standard deviations of a binomial of 3,000 draws at 1/3.
  for (const count of [...counts, together]) expect(Math.abs(count - 1000)).toBeLessThan(130);
});

test('an empty draw is one batch without rows that completes the step', () => {
  const dataset = new TokenDataset([{ sequences: [{ ids: [1, 2] }] }], { objective: 'causal', vocabularySize: 3 });
  const batches = dataset.pack(new Int32Array(0), { rowBudget: 8 });
  expect(batches).toHaveLength(1);
  expect(batches[0]).toMatchObject({ samples: 0, rows: 0, completesStep: true, offsets: BigInt64Array.of(0n) });
  expect(padRecords(dataset, new Int32Array(0), { padId: 0 })).toMatchObject({ shape: [0, 0] });
});

const RECORDS: TokenRecord[] = [
  { sequences: [{ ids: [1, 2, 3], labels: [-100, 2, 3], types: [0, 0, 1] }], class: 0 },
  {
    sequences: [
      { ids: [4, 5], labels: [4, 5], types: [0, 1] },
      { ids: [6], labels: [6], types: [0] },
    ],
    class: 1,
  },
];
const OPTIONS = { objective: 'masked', vocabularySize: 9, classes: 2 } as const;

test('equal data have equal fingerprints, and every field moves it', () => {
  const print = (records = RECORDS, options = {}): string =>
    new TokenDataset(records, { ...OPTIONS, ...options }).fingerprint();
  const [first, second] = RECORDS as [TokenRecord, TokenRecord];
  const [one] = first.sequences as [TokenRecord['sequences'][number]];
  const others = [
    print([second, first]),
    print([{ ...first, class: 1 }, second]),
    print([{ ...first, sequences: [{ ...one, ids: [1, 2, 4] }] }, second]),
    print([{ ...first, sequences: [{ ...one, labels: [-100, 2, 4] }] }, second]),
    print([{ ...first, sequences: [{ ...one, types: [0, 1, 1] }] }, second]),
    print([first, { ...second, sequences: second.sequences.slice(0, 1) }]),
    print([first, ...second.sequences.map((each) => ({ ...second, sequences: [each] }))]),
    print(RECORDS, { objective: 'causal' }),
    print(RECORDS, { vocabularySize: 10 }),
    print(RECORDS, { seed: 1 }),
  ];
  expect(print()).toMatch(/^[0-9a-f]{64}$/);
  expect(new Set([print(), ...others]).size).toBe(others.length + 1);
  expect(print(RECORDS.map((record) => ({ ...record })))).toBe(print());
});

describe('padded form', () => {
  const dataset = new TokenDataset(RECORDS, { ...OPTIONS, seed: 2 });
  const step = [0, 1, 2, 3].find((k) => dataset.sequenceAt(1, k) === 0)!;
  const numbers = (array: BigInt64Array): number[] => Array.from(array, Number);

  test('padding on the right has no attention, no label and no position', () => {
    const batch = padRecords(dataset, Int32Array.of(1, 0), { padId: 8, step });
    expect(batch.shape).toEqual([2, 3]);
    expect(numbers(batch.inputIds)).toEqual([4, 5, 8, 1, 2, 3]);
    expect(numbers(batch.attentionMask)).toEqual([1, 1, 0, 1, 1, 1]);
    expect(numbers(batch.labels)).toEqual([4, 5, -100, -100, 2, 3]);
    expect(numbers(batch.positions)).toEqual([0, 1, 0, 0, 1, 2]);
    expect(numbers(batch.tokenTypes!)).toEqual([0, 1, 0, 0, 0, 1]);
    expect(numbers(batch.classes!)).toEqual([1, 0]);
  });

  test('padding on the left ends all prompts at the same place, and cuts what is far from the end', () => {
    const padded = padIds([[1, 2, 3, 4], [5], []], { padId: 0, side: 'left', maxLength: 3 });
    expect(padded.shape).toEqual([3, 3]);
    expect(numbers(padded.inputIds)).toEqual([2, 3, 4, 0, 0, 5, 0, 0, 0]);
    expect(numbers(padded.attentionMask)).toEqual([1, 1, 1, 0, 0, 1, 0, 0, 0]);
    expect(numbers(padded.positions)).toEqual([0, 1, 2, 0, 0, 0, 0, 0, 0]);
  });

  property.prop([anyData])('holds the tokens that packed rows hold, with their labels', (any) => {
    const made = new TokenDataset(any.records, { objective: 'masked', vocabularySize: SIZE, classes: 4 });
    const recordIds = Int32Array.from(any.records.keys());
    const padded = padRecords(made, recordIds, { padId: 0, step: any.step, side: 'left' });
    const kept = (field: BigInt64Array): number[] => numbers(field.filter((_, at) => padded.attentionMask[at] === 1n));
    const packed = made.pack(recordIds, { rowBudget: 1, step: any.step });
    const byRecord = packed.sort((a, b) => a.recordIds![0]! - b.recordIds![0]!);
    expect(kept(padded.inputIds)).toEqual(byRecord.flatMap((batch) => numbers(batch.ids)));
    expect(kept(padded.labels)).toEqual(byRecord.flatMap((batch) => numbers(batch.labels!)));
  });
});

test('what is not a data set is refused', async () => {
  const make =
    (records: TokenRecord[], options: object = {}) =>
    (): unknown =>
      new TokenDataset(records, { objective: 'causal', vocabularySize: 9, ...options });
  const one = { ids: [1, 2] };
  for (const [action, code] of [
    [make([]), 'ERR_INVALID_ARGUMENT'],
    [make([{ sequences: [] }]), 'ERR_INVALID_ARGUMENT'],
    [make([{ sequences: [{ ids: [] }] }]), 'ERR_INVALID_ARGUMENT'],
    [make([{ sequences: [{ ids: [1], labels: [1, 2] }] }]), 'ERR_INVALID_ARGUMENT'],
    [make([{ sequences: [{ ...one, types: [0, 1] }, one] }]), 'ERR_INVALID_ARGUMENT'],
    [make([{ sequences: [one], class: 0 }]), 'ERR_INVALID_ARGUMENT'],
    [make([{ sequences: [one] }], { classes: 2 }), 'ERR_INVALID_ARGUMENT'],
    [make([{ sequences: [one], class: 2 }], { classes: 2 }), 'ERR_INVALID_ARGUMENT'],
    [make([{ sequences: [one] }], { objective: 'prefix' }), 'ERR_INVALID_ARGUMENT'],
    [make([{ sequences: [one] }], { size: 1 }), 'ERR_INVALID_ARGUMENT'],
    [make([{ sequences: [{ ids: [9] }] }]), 'ERR_VOCABULARY'],
    [make([{ sequences: [{ ids: [-1] }] }]), 'ERR_VOCABULARY'],
    [make([{ sequences: [{ ids: [1], labels: [-1] }] }]), 'ERR_VOCABULARY'],
  ] as const) {
    expect((await thrown(action)).code).toBe(code);
  }
});

test('sequences longer than the model reads, another target rule and a record twice are refused', async () => {
  const dataset = new TokenDataset([{ sequences: [{ ids: [1, 2, 3] }] }], { objective: 'causal', vocabularySize: 9 });
  expect(dataset.pack(Int32Array.of(0), { rowBudget: 8, maxLength: 3 })[0]!.rows).toBe(3);
  for (const [recordIds, options] of [
    [[0], { maxLength: 2 }],
    [[0], { targets: 'last' as const }],
    [[0, 0], {}],
    [[1], {}],
  ] as const) {
    const action = (): unknown => dataset.pack(Int32Array.from(recordIds), { rowBudget: 8, ...options });
    expect((await thrown(action)).code).toBe('ERR_INVALID_ARGUMENT');
  }
});
