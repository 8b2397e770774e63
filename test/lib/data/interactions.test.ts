// From a log to sequences: order, filters, numbering, held-out items.

import { fc, test as property } from '@fast-check/jest';
import { interactions, SequenceDataset, type Interactions, type Row } from '../../../lib/data';
import { thrown } from './support';

const ids = (users: Interactions, sequence: Int32Array): string[] => Array.from(sequence, (n) => users.itemIds[n - 1]!);
const user = (id: string, items: (string | number)[]): Row[] => items.map((item) => [id, item]);

const rows = fc.array(fc.tuple(fc.nat(8), fc.nat(12), fc.nat(5)), { minLength: 1, maxLength: 120 });

describe('sequences', () => {
  property.prop([rows])('are the stable sort of each user by time', async (log) => {
    const users = await interactions(log, { minActions: 1 });
    users.userIds.forEach((id, i) => {
      const expected = log.filter(([u]) => String(u) === id).sort((a, b) => a[2] - b[2]);
      expect(ids(users, users.all().sequence(i))).toEqual(expected.map(([, item]) => String(item)));
    });
    expect(users.actions).toBe(log.length);
  });

  test('do not change when other users are removed, under a public catalogue', async () => {
    const catalogue = Array.from({ length: 13 }, (_, k) => k);
    const log: Row[] = [...user('a', [1, 2, 3, 4, 5]), ...user('b', [9, 8, 7, 6, 5]), ...user('c', [12, 0, 12, 0, 12])];
    const all = await interactions(log, { catalogue });
    const fewer = await interactions(log.slice(5), { catalogue });
    expect(all.itemCount).toBe(13);
    expect(Array.from(all.all().sequence(2))).toEqual(Array.from(fewer.all().sequence(1)));
  });
});

describe('numbers', () => {
  test('run from 1 to itemCount in ascending order of whole-number ids', async () => {
    const users = await interactions(user('u', [30, 4, 100, 4, 7]));
    expect(users.itemIds).toEqual(['4', '7', '30', '100']);
    expect(Array.from(users.all().sequence(0))).toEqual([3, 1, 4, 1, 2]);
  });

  test('follow the text where an id is not a whole number, and leading zeros make different items', async () => {
    const users = await interactions(user('u', ['b', '10', 'B', '010', '9']));
    expect(users.itemIds).toEqual(['010', '10', '9', 'B', 'b']);
  });

  test('follow the catalogue where there is one, and vocabulary says so', async () => {
    const users = await interactions(user('u', ['b', 'a', 'b', 'b', 'b']), { catalogue: ['c', 'b', 'a'] });
    expect([users.itemCount, users.vocabulary, users.itemNumber('b')]).toEqual([3, 'catalogue', 2]);
    expect((await interactions(user('u', [1, 2, 3, 4, 5]))).vocabulary).toBe('data');
  });

  test('an item outside the catalogue is refused where it stands', async () => {
    const error = await thrown(() => interactions(user('u', [1, 2, 3, 4, 5]), { catalogue: [1, 2, 3, 5] }));
    expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT', place: { file: 'rows', line: 4 }, found: '"4"' });
  });

  test('an unknown item has no number', async () => {
    const users = await interactions(user('u', [1, 2, 3, 4, 5]));
    expect(await thrown(() => users.itemNumber(6))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });
});

describe('filters', () => {
  const log: Row[] = [
    ...user('long', [1, 1, 2, 2, 3, 4]),
    ...user('five', [1, 2, 1, 2, 1]),
    ...user('four', [1, 2, 5, 5]),
  ];

  test('leave out users with fewer than five actions by default, and count what is gone', async () => {
    const users = await interactions(log);
    expect(users.userIds).toEqual(['long', 'five']);
    expect(users.itemIds).toEqual(['1', '2', '3', '4']);
    expect(users.dropped).toEqual({ users: 1, items: 1, actions: 4 });
  });

  test('count items over the whole log first, then users over what is left', async () => {
    const users = await interactions(log, { minItemActions: 2, minActions: 4 });
    expect(users.userIds).toEqual(['long', 'five', 'four']);
    expect(users.itemIds).toEqual(['1', '2', '5']); // 3 and 4 occur once
    expect((await interactions(log, { minItemActions: 2, minActions: 5 })).userIds).toEqual(['five']); // long keeps 4 of 6
  });

  property.prop([rows, fc.integer({ min: 1, max: 6 })])(
    'keep exactly the users with enough actions',
    async (log, minActions) => {
      const count = (id: number): number => log.filter(([u]) => u === id).length;
      const kept = [...new Set(log.map(([u]) => u))].filter((u) => count(u) >= minActions).map(String);
      if (kept.length === 0)
        expect(await thrown(() => interactions(log, { minActions }))).toMatchObject({ code: 'ERR_DATA_FORMAT' });
      else expect((await interactions(log, { minActions })).userIds).toEqual(kept);
    },
  );
});

describe('split', () => {
  const log: Row[] = [...user('a', [1, 2, 3, 4, 5, 6]), ...user('b', [9, 8, 7, 6, 5])];

  test('holds out the last item of each user', async () => {
    const users = await interactions(log);
    const { train, test: last, validation } = users.split();
    expect(validation).toBeUndefined();
    expect([0, 1].map((i) => ids(users, train.sequence(i)))).toEqual([
      ['1', '2', '3', '4', '5'],
      ['9', '8', '7', '6'],
    ]);
    expect([0, 1].map((i) => users.itemIds[last.target(i) - 1])).toEqual(['6', '5']);
    expect(last.history(0)).toEqual(train.sequence(0));
    expect(train.actions).toBe(9);
  });

  test('holds out two with validation, and the test history contains the validation item', async () => {
    const users = await interactions(log);
    const { train, validation, test: last } = users.split({ validation: true });
    expect(ids(users, train.sequence(1))).toEqual(['9', '8', '7']);
    expect(validation!.history(1)).toEqual(train.sequence(1));
    expect(users.itemIds[validation!.target(1) - 1]).toBe('6');
    expect(ids(users, last.history(1))).toEqual(['9', '8', '7', '6']);
  });

  test('refuses a history of one item, naming the user', async () => {
    const users = await interactions([...log, ['lonely', 3]], { minActions: 1 });
    const error = await thrown(() => users.split());
    expect(error.code).toBe('ERR_DATA_FORMAT');
    expect(error.message).toMatch(/lonely.*minActions of at least 2/);
    const two = await interactions([...log, ['pair', 3], ['pair', 4]], { minActions: 1 });
    expect(two.split().train.lengthOf(2)).toBe(1);
    expect((await thrown(() => two.split({ validation: true }))).message).toMatch(/pair.*at least 3/);
  });
});

describe('fingerprint', () => {
  const base = [
    [1, 2, 3],
    [4, 5],
  ];
  const of = (sequences: number[][], items = 9): string => SequenceDataset.from(sequences, items).fingerprint();

  test('is equal for equal content and differs for any change of it', () => {
    expect(of(base)).toBe(
      of([
        [1, 2, 3],
        [4, 5],
      ]),
    );
    const others = [
      of([
        [1, 2],
        [3, 4, 5],
      ]),
      of([
        [4, 5],
        [1, 2, 3],
      ]),
      of([
        [1, 2, 3],
        [4, 6],
      ]),
      of(base, 10),
      of([[1, 2, 3]]),
      of([[1, 2, 3], [4, 5], []]),
    ];
    expect(new Set([of(base), ...others]).size).toBe(7);
  });

  test('covers the training part only', async () => {
    const a = (await interactions(user('u', [1, 2, 3, 4, 5]))).split();
    const b = (await interactions(user('u', [1, 2, 3, 4, 5, 5]))).split();
    expect(a.train.fingerprint()).not.toBe(b.train.fingerprint());
    expect(a.train.fingerprint()).toBe(SequenceDataset.from([[1, 2, 3, 4]], 5).fingerprint());
  });
});

test('an item beyond the vocabulary is refused with its place', async () => {
  for (const bad of [0, -1, 10, 1.5, NaN]) {
    const error = await thrown(() =>
      SequenceDataset.from(
        [
          [1, 2],
          [3, bad],
        ],
        9,
      ),
    );
    expect(error.code).toBe('ERR_INVALID_ARGUMENT');
    expect(error.message).toMatch(/from 1 to 9.*sequence 1 at position 1/);
  }
});

test('a record outside the dataset is refused', async () => {
  const dataset = SequenceDataset.from([[1]], 1);
  for (const record of [-1, 1, 0.5])
    expect(await thrown(() => dataset.sequence(record))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
});
