// Every format gives the same interactions, and every malformed file says where it is wrong.

import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { interactions, type Interactions } from '../../../lib/data';
import { file, temporaryFolder, thrown } from './support';

// Out of time order, with a tie (user b, time 5: y before x) and an id that is not a number.
const LOG: [string, string, number][] = [
  ['a', '20', 3],
  ['b', '7', 9],
  ['a', '3', 1],
  ['b', 'y', 5],
  ['b', 'x', 5],
  ['a', 'y', 2],
];
const EXPECTED = { a: ['3', 'y', '20'], b: ['y', 'x', '7'] };

const text = (line: (user: string, item: string, time: number) => string, end = '\n'): string =>
  LOG.map(([user, item, time]) => line(user, item, time)).join(end) + end;

function originals(users: Interactions): Record<string, string[]> {
  const all = users.all();
  return Object.fromEntries(
    users.userIds.map((id, i) => [id, Array.from(all.sequence(i), (n) => users.itemIds[n - 1]!)]),
  );
}

type Content = string | Uint8Array | (() => Promise<Uint8Array>);

/** Writes a file whose content may have to be made first. */
async function written(
  name: string,
  content: Content,
  change = (bytes: string | Uint8Array) => bytes,
): Promise<string> {
  return file(name, change(typeof content === 'function' ? await content() : content));
}

function parquet(columns: [string, string, string], length = Infinity): () => Promise<Uint8Array> {
  return async () => {
    const { parquetWriteBuffer } = await import('hyparquet-writer');
    const whole = parquetWriteBuffer({
      columnData: [
        { name: columns[0], data: LOG.map(([user]) => user), type: 'STRING' },
        { name: 'rating', data: LOG.map(() => 4), type: 'INT32' },
        { name: columns[1], data: LOG.map(([, item]) => item), type: 'STRING' },
        { name: columns[2], data: LOG.map(([, , time]) => BigInt(time)), type: 'INT64' },
      ],
      rowGroupSize: 4,
    });
    return new Uint8Array(whole).subarray(0, length);
  };
}

const FORMATS: Record<string, Content> = {
  'ratings.dat': text((user, item, time) => `${user}::${item}::5::${time}`),
  'no-name-1': text((user, item, time) => `${user}::${item}::5::${time}`, '\r\n'),
  'u.data': text((user, item, time) => `${user}\t${item}\t3\t${time}`),
  'log.csv': 'rating,userId,movieId,timestamp\n' + text((user, item, time) => `5,"${user}",${item},${time}`),
  'no-name-2': '\uFEFFuser_id;item_id;time\r\n' + text((user, item, time) => `${user};${item};${time}`, '\r\n'),
  'dates.csv': 'user,item,date\n' + text((user, item, time) => `${user},${item},2020-01-0${time}T00:00:00Z`),
  'recbole.inter':
    'user_id:token\titem_id:token\ttimestamp:float\n' + text((user, item, time) => `${user}\t${item}\t${time}`),
  'log.jsonl': text((user, item, time) => JSON.stringify({ user, asin: item, unixReviewTime: time })),
  'no-name-3': '\n' + text((user, item, time) => JSON.stringify({ user, item, timestamp: time })),
  'log.parquet': parquet(['user_id', 'item_id', 'timestamp']),
  'no-name-4': parquet(['UserID', 'ItemID', 'ts']),
};

describe('every format gives the same sequences', () => {
  for (const [name, content] of Object.entries(FORMATS)) {
    test(`${name}, found by name or content`, async () => {
      expect(originals(await interactions(await written(name, content), { minActions: 1 }))).toEqual(EXPECTED);
    });
    test(`${name}, gzipped`, async () => {
      expect(originals(await interactions(await written(`${name}.gz`, content, gzipSync), { minActions: 1 }))).toEqual(
        EXPECTED,
      );
    });
  }

  test('SASRec text keeps the order of its lines, whatever the white space', async () => {
    const users = await interactions(file('sasrec', '1 20\n 2   7\n1\t3\n\n2 3 \n'), { minActions: 1 });
    expect(originals(users)).toEqual({ 1: ['20', '3'], 2: ['7', '3'] });
  });

  test('rows in memory, as objects and as arrays', async () => {
    const objects = LOG.map(([user, item, timestamp]) => ({ user, item, timestamp }));
    expect(originals(await interactions(objects, { minActions: 1 }))).toEqual(EXPECTED);
    expect(originals(await interactions(LOG, { minActions: 1 }))).toEqual(EXPECTED);
  });

  test('columns by position for files without a header, by name for files with one', async () => {
    const headless = file(
      'headless.csv',
      text((user, item, time) => `${item},${time},${user}`),
    );
    expect(
      originals(await interactions(headless, { minActions: 1, columns: { item: 0, timestamp: 1, user: 2 } })),
    ).toEqual(EXPECTED);
    const named = file('named.csv', 'who,what,when\n' + text((user, item, time) => `${user},${item},${time}`));
    expect(
      originals(
        await interactions(named, { minActions: 1, columns: { user: 'who', item: 'what', timestamp: 'when' } }),
      ),
    ).toEqual(EXPECTED);
    const wide = file(
      'wide.txt',
      text((user, item, time) => `${time} x ${user} ${item}`),
    );
    expect(
      originals(
        await interactions(wide, { format: 'sasrec', minActions: 1, columns: { timestamp: 0, user: 2, item: 3 } }),
      ),
    ).toEqual(EXPECTED);
  });

  test('a long file is cut into lines and numbers correctly across chunks', async () => {
    const lines = Array.from({ length: 60_000 }, (_, k) => `user-${k % 100}::item-${k % 977}::5::${k}`);
    const users = await interactions(file('long.dat', lines.join('\n')));
    expect([users.users, users.itemCount, users.actions]).toEqual([100, 977, 60_000]);
    lines[45_678] = 'user-1::item-1::5::yesterday';
    expect(await thrown(() => interactions(file('long.dat', lines.join('\n'))))).toMatchObject({
      place: { line: 45_679 },
    });
  });

  test('characters of several bytes survive wherever the chunks of a file are cut', async () => {
    for (const shift of ['', 'x', 'xx', 'xxx']) {
      const ids = Array.from({ length: 30_000 }, (_, k) => `${k === 0 ? shift : ''}é€😀${k % 9}`);
      const lines = ids.map((id, k) => `u::${id}::5::${k}\n`).join('');
      const users = await interactions(file('wide.dat', lines));
      expect(users.itemIds).toHaveLength(9 + Number(shift !== ''));
      expect(users.itemIds.join('')).not.toContain('\uFFFD');
      const csv = await interactions(file('wide.csv', `user,item\n${ids.map((id) => `u,${id}\n`).join('')}`));
      expect(csv.itemIds).toEqual(users.itemIds);
    }
  });

  test('numbers and text name the same item', async () => {
    const users = await interactions(
      [
        ['u', 5],
        ['u', '5'],
        ['u', 5n],
      ],
      { minActions: 1 },
    );
    expect(users.itemIds).toEqual(['5']);
  });
});

describe('malformed data names file, line, what was expected and what was found', () => {
  const good = '1::2::3::4\n';
  const cases: [name: string, content: Content, line: number | undefined, expected: RegExp, found: RegExp][] = [
    ['empty.dat', '', undefined, /^data$/, /empty/],
    ['empty.gz', gzipSync(''), undefined, /^data$/, /empty/],
    ['blank.dat', '\n \n', undefined, /interactions/, /blank/],
    ['fields.dat', `${good}1::2::3\n`, 2, /4 fields/, /3: "1::2::3"/],
    ['id.dat', `${good}\n::2::3::4\n`, 3, /user id/, /empty field/],
    ['item.dat', `${good}1::::3::4\n`, 2, /item id/, /empty field/],
    ['time.dat', `${good}1::2::3::soon\n`, 2, /timestamp/, /"soon"/],
    ['notime.dat', `${good}1::2::3::\n`, 2, /timestamp/, /""/],
    ['infinite.dat', `${good}1::2::3::Infinity\n`, 2, /timestamp/, /Infinity/],
    ['u.data', '1\t2\t3\t4\n1\t2\t3\n', 2, /4 fields/, /3/],
    ['sasrec.txt', '1 2\n1 2 3\n', 2, /2 fields/, /3: "1 2 3"/],
    ['header.csv', 'a,b,c\n1,2,3\n', 1, /user column/, /"a,b,c"/],
    ['only-header.csv', 'user,item\n', undefined, /interactions/, /none/],
    ['ragged.csv', 'user,item,time\n1,2,3\n1,2\n', 3, /same number of fields/, /2/],
    ['quote.csv', 'user,item,time\n1,"2\n,3\n', 3, /quoted text/, /Quote Not Closed/],
    ['multiline.csv', 'user,item,time,note\n1,2,3,"two\nlines"\n1,2,x,""\n', 4, /timestamp/, /"x"/],
    ['null.jsonl', '{"user":1,"item":2}\n{"user":1,"item":null}\n', 2, /item id/, /nothing/],
    ['object.jsonl', '{"user":1,"item":2}\n{"user":{},"item":2}\n', 2, /user id/, /an object/],
    ['broken.jsonl', '{"user":1,"item":2}\n{"user":1,\n', 2, /JSON object/, /user/],
    ['array.jsonl', '[1,2]\n', 1, /JSON object/, /\[1,2\]/],
    ['keys.jsonl', '{"who":1,"what":2}\n', 1, /user column/, /"who", "what"/],
    ['fake.parquet', 'user,item\n1,2\n', undefined, /Parquet/, /user/],
    ['cut.parquet', parquet(['user', 'item', 'time'], 200), undefined, /Parquet/, /./],
    ['names.parquet', parquet(['who', 'what', 'when']), 1, /user column/, /"who"/],
    ['archive.dat', Buffer.from('PK\u0003\u0004rest'), undefined, /data file/, /zip/],
    ['binary.dat', Buffer.from([1, 2, 0, 3, 10]), 1, /text/, /binary/],
    ['latin.dat', Buffer.from(`${good}caf\xe9::2::3::4\n${good}`, 'latin1'), 2, /UTF-8/, /another encoding/],
    ['latin.csv', Buffer.from('user,item,time\n1,2,3\ncaf\xe9,2,3\n1,2,3\n', 'latin1'), 3, /UTF-8/, /another encoding/],
    ['cut.csv', Buffer.from('user,item,time\n1,2,3\n1,€,3').subarray(0, 25), 3, /UTF-8/, /another encoding/],
    [
      'rounded.jsonl',
      '{"user":1,"item":2}\n{"user":9007199254740993,"item":2}\n',
      2,
      /2\^53 as text/,
      /9007199254740992/,
    ],
    ['word.txt', 'hello\n', 1, /user::item/, /"hello"/],
    ['cut.dat.gz', gzipSync(good.repeat(1000)).subarray(0, 40), undefined, /gzip/, /too early/],
    [
      'damaged.gz',
      Buffer.concat([gzipSync(good).subarray(0, 10), Buffer.alloc(20, 0xff)]),
      undefined,
      /gzip/,
      /damaged/,
    ],
  ];
  for (const [name, content, line, expected, found] of cases) {
    test(name, async () => {
      const path = await written(name, content);
      const error = await thrown(() => interactions(path, { minActions: 1 }));
      expect(error).toMatchObject({
        code: 'ERR_DATA_FORMAT',
        place: line === undefined ? { file: path } : { file: path, line },
      });
      expect(error['expected']).toMatch(expected);
      expect(error['found']).toMatch(found);
      expect(error.message).toContain(path);
    });
  }

  test('a refused file is closed again', async () => {
    const long = '1,2,3\n'.repeat(200_000);
    for (const [name, content] of [
      ['open.csv', `user,item,time\n1,2,x\n${long}`],
      ['open.csv.gz', gzipSync(`user,item,time\n1,2,x\n${long}`)],
      ['open.dat', `1::2::3\n${long}`],
      ['open.jsonl', `{"user":1,"item":2}\n${long}`],
    ] as const) {
      const path = file(name, content);
      await thrown(() => interactions(path));
      if (!existsSync('/proc/self/fd')) continue;
      // Closing is asynchronous, and a busy machine takes its time.
      for (let wait = 0; wait < 100 && openFiles().includes(path); wait++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      expect(openFiles()).not.toContain(path);
    }
  });

  test('a missing file and a folder', async () => {
    expect(await thrown(() => interactions('/nowhere/ratings.dat'))).toMatchObject({
      code: 'ERR_DATA_FORMAT',
      place: { file: '/nowhere/ratings.dat' },
    });
    expect(await thrown(() => interactions(temporaryFolder()))).toMatchObject({
      code: 'ERR_DATA_FORMAT',
      found: 'a folder',
    });
  });

  test('rows in memory', async () => {
    expect(await thrown(() => interactions([]))).toMatchObject({ code: 'ERR_DATA_FORMAT' });
    expect(
      await thrown(() =>
        interactions([
          ['u', 1, 5],
          ['u', 2],
        ]),
      ),
    ).toMatchObject({ code: 'ERR_DATA_FORMAT', place: { file: 'rows', line: 2 } });
    expect(
      await thrown(() =>
        interactions([
          ['u', 1],
          ['u', 2, 5],
        ]),
      ),
    ).toMatchObject({ code: 'ERR_DATA_FORMAT', place: { file: 'rows', line: 2 } });
    expect(await thrown(() => interactions([7 as never]))).toMatchObject({
      code: 'ERR_DATA_FORMAT',
      place: { line: 1 },
    });
  });

  test('column names where there is no header, and positions where there are only names', async () => {
    const names = { user: 'who', item: 'what' };
    expect(await thrown(() => interactions(file('x.dat', good), { columns: names }))).toMatchObject({
      code: 'ERR_DATA_FORMAT',
      place: { line: 1 },
    });
    const jsonl = file('x.jsonl', '{"user":1,"item":2}\n');
    for (const columns of [names, { user: 0, item: 1 }]) {
      expect(await thrown(() => interactions(jsonl, { columns }))).toMatchObject({ code: 'ERR_DATA_FORMAT' });
    }
  });

  test('options that do not fit are refused before the file is read', async () => {
    for (const options of [
      { minActions: 0 },
      { minaction: 1 } as never,
      { minActions: 1.5 },
      { minItemActions: 0 },
      { columns: { user: 'a', item: 1 } },
      { columns: { user: -1, item: 1 } },
      { catalogue: [] },
      { catalogue: [1, '1'] },
      { catalogue: [1], minItemActions: 5 },
    ]) {
      expect(await thrown(() => interactions('/nowhere', options))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    expect(await thrown(() => interactions(file('x.dat', good), { format: 'xml' as never }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    expect(await thrown(() => interactions([['u', 1]], { format: 'csv' }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    expect(await thrown(() => interactions(5 as never))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });
});

function openFiles(): string[] {
  return readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // the descriptor of the listing itself
    }
  });
}
