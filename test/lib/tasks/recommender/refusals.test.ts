// Bad input to a run: each refused with its code, before anything is written.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { trainRecommender, type RecommenderOptions } from '../../../../lib/tasks';
import { entries, logFile, path, small } from './fixture';

const data = logFile();

const options: [string, Partial<RecommenderOptions>, RegExp][] = [
  ['an epsilon of zero', { epsilon: 0 }, /epsilon.*above 0/],
  ['a negative epsilon', { epsilon: -1 }, /epsilon.*above 0/],
  ['an epsilon that is no number', { epsilon: NaN }, /epsilon/],
  ['a delta of zero', { delta: 0 }, /delta.*between 0 and 1/],
  ['a delta of one', { delta: 1 }, /delta.*between 0 and 1/],
  ['a batch larger than the data', { batchSize: 61 }, /61 for 60 records/],
  ['a batch of nobody', { batchSize: 0 }, /batchSize/],
  ['no epochs', { epochs: 0 }, /epochs/],
  ['a negative learning rate', { learningRate: -0.1 }, /learningRate/],
  ['heads that do not divide the width', { heads: 3 }, /heads|dim/],
  ['a dropout of one', { dropout: 1 }, /dropout/],
  ['unknown targets', { targets: 'some' as 'all' }, /targets.*"all", "last"/],
  ['an option that nothing reads', { epslion: 1 } as never, /no option epslion/],
  ['users without a training history', { minActions: 1 }, /minActions/],
];

test.each(options)('%s is refused and nothing is written', async (_, bad, message) => {
  const out = path('refused');
  const run = trainRecommender({ ...small(data), ...bad }, { out });
  await expect(run).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(message) });
  expect(entries(out)).toEqual([]);
});

const files: [string, string, RegExp][] = [
  ['an empty file', '', /empty\.csv/],
  ['a file of a header only', 'user,item,timestamp\n', /none/],
  ['a broken line', 'user,item,timestamp\na,b,1\na,c\n', /:3/],
  ['histories that are all too short', 'user,item,timestamp\na,b,1\na,c,2\n', /5 actions/],
];

test.each(files)('%s is refused with file and place, and nothing is written', async (_, content, message) => {
  writeFileSync(path('empty.csv'), content);
  const run = trainRecommender(small(path('empty.csv')), { out: path('refused') });
  await expect(run).rejects.toMatchObject({ code: 'ERR_DATA_FORMAT', message: expect.stringMatching(message) });
  expect(entries(path('refused'))).toEqual([]);
});

test('a missing file is named', async () => {
  await expect(trainRecommender(small(path('none.csv')))).rejects.toMatchObject({
    code: 'ERR_DATA_FORMAT',
    message: expect.stringContaining('none.csv'),
  });
});

test('a folder that holds anything is left alone', async () => {
  mkdirSync(path('mine'));
  writeFileSync(path('mine', 'thesis.txt'), 'all of it');
  const run = trainRecommender(small(data), { out: path('mine') });
  await expect(run).rejects.toMatchObject({ code: 'ERR_RUN_FOLDER' });
  expect(entries(path('mine'))).toEqual(['thesis.txt']);
  await expect(trainRecommender(small(data), { out: data })).rejects.toMatchObject({ code: 'ERR_RUN_FOLDER' });
  expect(readFileSync(data, 'utf8')).toContain('user,item');
});

test('an item outside the public list is refused; with the whole list the vocabulary is public', async () => {
  const items = Array.from({ length: 20 }, (_, k) => `i${k + 1}`);
  writeFileSync(path('some.txt'), items.join('\n'));
  await expect(trainRecommender({ ...small(data), catalogue: path('some.txt') })).rejects.toMatchObject({
    code: 'ERR_DATA_FORMAT',
    message: expect.stringContaining('only-rare'),
  });
  writeFileSync(path('all.txt'), [...items, 'only-rare', 'never seen'].join('\r\n'));
  const out = path('catalogue');
  await trainRecommender({ ...small(data), catalogue: path('all.txt') }, { out });
  const config = JSON.parse(readFileSync(path('catalogue', 'config.json'), 'utf8')) as {
    vocabulary: { source: string; items: string[] };
  };
  expect(config.vocabulary.source).toBe('catalogue');
  expect(config.vocabulary.items).toHaveLength(22);
  expect(uncovered(out)).not.toMatch(/items/);
});

test('leaving out rare items looks at everybody, and the statement says so', async () => {
  const out = path('rare');
  await trainRecommender({ ...small(data), minItemActions: 3 }, { out });
  expect(uncovered(out)).toMatch(/which items are in the histories: those with fewer than 3 actions/);
});

/** What the statement of a run says that ε does not cover. */
function uncovered(out: string): string {
  const { notCovered } = JSON.parse(readFileSync(join(out, 'privacy.json'), 'utf8')) as { notCovered: string[] };
  return notCovered.join('; ');
}

test('a public list that is missing, empty, or names an item twice is refused', async () => {
  writeFileSync(path('twice.txt'), 'a\nb\na\n');
  writeFileSync(path('blank.txt'), '\n\n');
  for (const [name, message] of [
    ['none.txt', 'none.txt'],
    ['blank.txt', 'found none'],
    ['twice.txt', ':3'],
  ] as const) {
    await expect(trainRecommender({ ...small(data), catalogue: path(name) })).rejects.toMatchObject({
      code: 'ERR_DATA_FORMAT',
      message: expect.stringContaining(message),
    });
  }
});
