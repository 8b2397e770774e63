// Classification files read the same in every layout, and become records for a head or for a mask.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  ByteTokenizer,
  classificationRecords,
  type FolderTokenizer,
  glue,
  type GlueTask,
  infilling,
  PROMPTS,
  tokenizer,
} from '../../../../lib/data';
import { file, shared, temporaryFolder, thrown } from '../support';

const lines = (...rows: string[][]): string => rows.map((row) => row.join('\t')).join('\n') + '\n';

// The official columns; fields that nothing reads are named x.
const OFFICIAL: [GlueTask, string, { texts: string[]; label: number }[]][] = [
  [
    'sst2',
    lines(['sentence', 'label'], ['a "bad film', '0'], ['good one ', '1']),
    [
      { texts: ['a "bad film'], label: 0 },
      { texts: ['good one'], label: 1 },
    ],
  ],
  ['sst2', lines(['label', 'sentence'], ['1', 'fine']), [{ texts: ['fine'], label: 1 }]],
  [
    'qnli',
    lines(['index', 'question', 'sentence', 'label'], ['0', 'Who?', 'He did.', 'not_entailment']),
    [{ texts: ['Who?', 'He did.'], label: 1 }],
  ],
  [
    'qqp',
    lines(['id', 'qid1', 'qid2', 'question1', 'question2', 'is_duplicate'], ['0', '1', '2', 'A?', 'B?', '1']),
    [{ texts: ['A?', 'B?'], label: 1 }],
  ],
  [
    'mnli',
    lines(
      ['index', 'genre', 'sentence1', 'sentence2', 'label1', 'gold_label'],
      ['0', 'x', 'P.', 'H.', 'neutral', 'contradiction'],
    ),
    [{ texts: ['P.', 'H.'], label: 2 }],
  ],
];

test.each(OFFICIAL)(
  '%s in its official columns, gzipped or not, with either line end',
  async (task, text, examples) => {
    for (const content of [text, gzipSync(text), text.replaceAll('\n', '\r\n')]) {
      const read = await glue(task, file('glue.tsv', content));
      expect(read.examples).toEqual(examples);
      expect(read.skipped).toBe(0);
    }
  },
);

test('a test file has no labels, and gives no training records', async () => {
  const read = await glue('sst2', file('test.tsv', lines(['index', 'sentence'], ['0', 'some text'])));
  expect(read.examples).toEqual([{ texts: ['some text'], label: null }]);
  const made = await words();
  expect((await thrown(() => classificationRecords(read, { tokenizer: made, maxLength: 8 }))).code).toBe(
    'ERR_INVALID_ARGUMENT',
  );
});

test('a folder holds its splits by name', async () => {
  const folder = join(temporaryFolder(), 'MNLI');
  mkdirSync(folder);
  const content = (label: string): string => lines(['sentence1', 'sentence2', 'gold_label'], ['P', 'H', label]);
  writeFileSync(join(folder, 'train.tsv'), content('neutral'));
  writeFileSync(join(folder, 'dev_matched.tsv.gz'), gzipSync(content('entailment')));
  expect((await glue('mnli', folder)).examples[0]!.label).toBe(1);
  expect((await glue('mnli', folder, { split: 'dev_matched' })).examples[0]!.label).toBe(0);
  expect((await thrown(() => glue('mnli', folder, { split: 'test' }))).code).toBe('ERR_DATA_FORMAT');
});

describe('a malformed file says where', () => {
  const header = ['sentence', 'label'];
  const cases: [string, string, number | undefined, RegExp][] = [
    ['no header', lines(['text of a film', '1']), 1, /sentence/],
    ['a field too few', lines(header, ['a', '0'], ['b']), 3, /2 fields/],
    ['a field too many', lines(header, ['a', '0', 'c']), 2, /2 fields/],
    ['an empty text', lines(header, ['', '0']), 2, /text/],
    ['another label', lines(header, ['a', '0'], ['b', '2']), 3, /label/],
    ['only a header', lines(header), undefined, /examples/],
  ];
  test.each(cases)('%s', async (_, content, line, expected) => {
    const error = await thrown(() => glue('sst2', file('bad.tsv', content)));
    expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT', place: line === undefined ? {} : { line } });
    expect(error['expected']).toMatch(expected);
  });

  test('missing fields can be skipped and are counted, extra ones cannot', async () => {
    const read = await glue('sst2', file('s.tsv', lines(header, ['a', '0'], ['b'], ['', '1'])), { malformed: 'skip' });
    expect([read.examples.length, read.skipped]).toEqual([1, 2]);
    const extra = file('t.tsv', lines(header, ['a', '0'], ['b', '1', 'c']));
    expect((await thrown(() => glue('sst2', extra, { malformed: 'skip' }))).code).toBe('ERR_DATA_FORMAT');
  });

  test('options and tasks that do not exist', async () => {
    for (const action of [
      () => glue('cola' as never, '/nowhere'),
      () => glue('sst2', '/nowhere', { part: 'dev' } as never),
      () => glue('sst2', file('x.tsv', lines(header, ['a', '0'])), { malformed: 'ignore' as never }),
    ]) {
      expect((await thrown(action)).code).toBe('ERR_INVALID_ARGUMENT');
    }
  });
});

const VOCABULARY = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'it', 'was', '.', '?', ',', 'terrible', 'great'];
const MORE = ['one', 'two', 'three', 'four', 'yes', 'no', 'maybe'];
async function words(): Promise<FolderTokenizer> {
  const folder = join(temporaryFolder(), 'words');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'vocab.txt'), [...VOCABULARY, ...MORE].join('\n'));
  return tokenizer(folder);
}

const shown = (made: FolderTokenizer, ids: Int32Array): string =>
  Array.from(ids, (id) => [...VOCABULARY, ...MORE][id]).join(' ');

describe('infilling', () => {
  const sst2 = { labels: ['0', '1'], skipped: 0, examples: [{ texts: ['one two three four'], label: 1 }] };

  test('stands the text before the template, and asks for the word of the class at the mask alone', async () => {
    const made = await words();
    const { records, wordIds } = infilling(sst2, { ...PROMPTS.sst2, tokenizer: made, maxLength: 32 });
    expect(shown(made, records.ids(0))).toBe('[CLS] one two three four it was [MASK] . [SEP]');
    const mask = records.ids(0).indexOf(made.special.mask!);
    const labels = [...records.labels(0)];
    expect(labels[mask]).toBe(VOCABULARY.indexOf('great'));
    expect(labels.filter((label) => label !== -100)).toHaveLength(1);
    expect(shown(made, wordIds)).toBe('terrible great');
    expect(records.pack(Int32Array.of(0), { rowBudget: 99 })[0]).toMatchObject({
      rows: 10,
      label: Float64Array.of(1),
    });
  });

  test('cuts texts, the longer first, and never the template', async () => {
    const made = await words();
    const mnli = {
      labels: ['e', 'n', 'c'],
      skipped: 0,
      examples: [{ texts: ['one two three four.', 'Two one'], label: 1 }],
    };
    const options = { ...PROMPTS.mnli, tokenizer: made };
    const at = (maxLength: number): string => shown(made, infilling(mnli, { ...options, maxLength }).records.ids(0));
    expect(at(32)).toBe('[CLS] one two three four ? [MASK] , two one [SEP]');
    expect(at(9)).toBe('[CLS] one two ? [MASK] , two one [SEP]');
    expect(at(7)).toBe('[CLS] one ? [MASK] , two [SEP]');
    expect((await thrown(() => at(5))).code).toBe('ERR_INVALID_ARGUMENT');
  });

  test('a mask that a text brings along is not the place of the answer', async () => {
    const made = await words();
    const sly = { ...sst2, examples: [{ texts: ['one [MASK] two'], label: 0 }] };
    const { records } = infilling(sly, { ...PROMPTS.sst2, tokenizer: made, maxLength: 32 });
    expect(records.labels(0).findIndex((label) => label !== -100)).toBe(6); // [CLS] one [MASK] two it was [MASK]
  });

  test('templates and words that cannot be answered are refused', async () => {
    const made = await words();
    const base = { ...PROMPTS.sst2, tokenizer: made, maxLength: 32 };
    for (const options of [
      { ...base, template: '{0} it was' },
      { ...base, template: '{mask} {0} {mask}' },
      { ...base, template: 'it was {mask}' },
      { ...base, template: '{0} {1} {mask}' },
      { ...base, words: ['great'] },
      { ...base, words: ['great', 'great'] },
      { ...base, words: ['great', 'one two'] },
      { ...base, tokenizer: new ByteTokenizer() },
    ]) {
      expect((await thrown(() => infilling(sst2, options))).code).toBe('ERR_INVALID_ARGUMENT');
    }
  });
});

test('records for a head hold both texts in their frame, and the class', async () => {
  const made = await words();
  const pairs = { labels: ['no', 'yes'], skipped: 0, examples: [{ texts: ['one two', 'three'], label: 1 }] };
  const records = classificationRecords(pairs, { tokenizer: made, maxLength: 16 });
  expect(shown(made, records.ids(0))).toBe('[CLS] one two [SEP] three [SEP]');
  expect([...records.types(0)!]).toEqual([0, 0, 0, 0, 1, 1]);
  const [batch] = records.pack(Int32Array.of(0), { rowBudget: 9 });
  expect(batch).toMatchObject({ label: Float64Array.of(1), tokenTypeIds: BigInt64Array.of(0n, 0n, 0n, 0n, 1n, 1n) });
  expect(batch!.labels).toBeUndefined();
});

const dev = shared('sst2/dev.tsv.gz');
const train = shared('sst2/train.tsv.gz');
(dev === undefined || train === undefined ? test.skip : test)(
  'SST-2 has 872 and 67,349 labelled sentences',
  async () => {
    const read = await Promise.all([glue('sst2', dev!), glue('sst2', train!)]);
    expect(read.map(({ examples }) => examples.length)).toEqual([872, 67_349]);
    expect(read.flatMap(({ examples }) => examples).every(({ label }) => label !== null)).toBe(true);
  },
);
