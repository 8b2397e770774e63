// Tables become lines, and a record is what the unit says.

import { gzipSync } from 'node:zlib';
import { CharacterTokenizer, dart, e2e, linearise, meanings, tablePrompt, tableToText } from '../../../../lib/data';
import type { TextTokenizer } from '../../../../lib/data';
import { file, shared, thrown } from '../support';

test('slots become name : value, in their order, under the names of prefix-tuning', () => {
  expect(linearise('name[The Vaults], eatType[pub], priceRange[more than £30], customer rating[5 out of 5]')).toBe(
    'name : The Vaults | Type : pub | price : more than £30 | customer rating : 5 out of 5',
  );
  expect(linearise('name[A, B], familyFriendly[no]')).toBe('name : A, B | family friendly : no');
  for (const wrong of ['', 'The Vaults', 'name[The Vaults', 'name[A] eatType[pub]', 'name[A], pub', '[A]'])
    expect(linearise(wrong)).toBeUndefined();
});

const CSV =
  'mr,ref\n"name[A], area[b]","First, with ""quotes"""\n"name[B]","two\r\n  lines"\n"name[A], area[b]",again\n';
const PAIRS = [
  { source: 'name : A | area : b', reference: 'First, with "quotes"' },
  { source: 'name : B', reference: 'two lines' },
  { source: 'name : A | area : b', reference: 'again' },
];

test('E2E: quotes and line ends inside references, plain and gzipped', async () => {
  expect(await e2e(file('e2e.csv', CSV))).toEqual(PAIRS);
  expect(await e2e(file('e2e.csv.gz', gzipSync(CSV)))).toEqual(PAIRS);
  expect(await e2e(file('other.csv', 'ref,mr\nsome text,name[A]\n'))).toEqual([
    { source: 'name : A', reference: 'some text' },
  ]);
});

test('references of one table come together, in the order of first occurrence', () => {
  expect(meanings(PAIRS)).toEqual([
    { source: 'name : A | area : b', references: ['First, with "quotes"', 'again'] },
    { source: 'name : B', references: ['two lines'] },
  ]);
});

test('DART: triples with small relations, one pair an annotation', async () => {
  const entry = {
    tripleset: [
      ['Mars Hill', 'JOINED', '1973'],
      ['Mars Hill', 'LOCATION', 'North Carolina'],
    ],
    annotations: [
      { source: 'x', text: 'Joined in 1973.' },
      { source: 'y', text: 'One\nmore.' },
    ],
  };
  const source = 'Mars Hill : joined : 1973 | Mars Hill : location : North Carolina';
  expect(await dart(file('dart.json', JSON.stringify([entry])))).toEqual([
    { source, reference: 'Joined in 1973.' },
    { source, reference: 'One more.' },
  ]);
});

describe('a malformed file says where', () => {
  const cases: [string, typeof e2e, string, number | undefined][] = [
    ['other columns', e2e, 'meaning,text\na,b\n', 1],
    ['a meaning without values', e2e, 'mr,ref\nname[A],x\nThe Vaults,y\n', 3],
    ['an empty reference', e2e, 'mr,ref\nname[A],\n', 2],
    ['a field too few', e2e, 'mr,ref\nname[A]\n', 2],
    ['an open quote', e2e, 'mr,ref\nname[A],"x\n', undefined],
    ['only a header', e2e, 'mr,ref\n', undefined],
    ['no JSON', dart, '[{', undefined],
    ['no array', dart, '{}', undefined],
    ['an empty array', dart, '[]', undefined],
    ['a pair for a triple', dart, '[{"tripleset":[["a","b"]],"annotations":[{"text":"x"}]}]', 1],
    ['no annotation', dart, '[{"tripleset":[["a","b","c"]],"annotations":[]}]', 1],
    ['an annotation without text', dart, '[{"tripleset":[["a","b","c"]],"annotations":[{"text":" "}]}]', 1],
  ];
  test.each(cases)('%s', async (_, read, content, line) => {
    const error = await thrown(() => read(file('bad', content)));
    expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT', place: line === undefined ? {} : { line } });
  });
});

// Characters with an end mark of their own.
const letters = new CharacterTokenizer(' :|abcdefghijklmnopqrstuvwxyz.€');
const [END] = letters.encode('€') as unknown as [number];
const marked: TextTokenizer = Object.assign(Object.create(letters) as CharacterTokenizer, {
  encode: letters.encode.bind(letters),
  vocabularySize: letters.vocabularySize,
  special: { ...letters.special, eos: END },
});
const SMALL = [
  { source: 'a : b', reference: 'one.' },
  { source: 'c : d', reference: 'three.' },
  { source: 'a : b', reference: 'two.' },
];

test('only the text and its end are predicted, after table and separator', () => {
  const made = tableToText(SMALL, { tokenizer: marked, unit: 'pair' });
  expect(made.length).toBe(3);
  const [batch] = made.pack(Int32Array.of(1), { rowBudget: 99 });
  expect(letters.decode(Array.from(batch!.ids, Number))).toBe(' c : d€ three.€');
  expect(letters.decode(Array.from(batch!.labels!, Number).filter((id) => id !== -100))).toBe(' three.€');
  expect(letters.decode(tablePrompt('c : d', { tokenizer: marked }))).toBe(' c : d€');
});

test('with the unit mr a record is a table with all its references, and each step trains on one of them', () => {
  const made = tableToText(SMALL, { tokenizer: marked, unit: 'mr' });
  expect([made.length, made.sequencesOf(0), made.sequencesOf(1)]).toEqual([2, 2, 1]);
  const seen = new Set<string>();
  for (let step = 0; step < 20; step++) {
    const [batch] = made.pack(Int32Array.of(0), { rowBudget: 99, step });
    expect(batch!.samples).toBe(1);
    seen.add(letters.decode(Array.from(batch!.ids, Number)));
  }
  expect([...seen].sort()).toEqual([' a : b€ one.€', ' a : b€ two.€']);
});

test('tables and texts are cut to what is asked for; a text that is cut has no end', () => {
  const made = tableToText(SMALL, { tokenizer: marked, unit: 'pair', maxSource: 3, maxTarget: 4 });
  expect(letters.decode(made.ids(1))).toBe(' c €' + ' thr');
});

test('a tokenizer without an end, and an unknown unit, are refused', async () => {
  expect((await thrown(() => tableToText(SMALL, { tokenizer: letters, unit: 'pair' }))).code).toBe(
    'ERR_INVALID_ARGUMENT',
  );
  expect((await thrown(() => tableToText(SMALL, { tokenizer: marked, unit: 'user' as never }))).code).toBe(
    'ERR_INVALID_ARGUMENT',
  );
});

const paths = ['devset', 'testset_w_refs'].map((name) => shared(`e2e/${name}.csv.gz`));
(paths.includes(undefined) ? test.skip : test)('E2E has 4,672 and 4,693 references of 547 and 630 tables', async () => {
  const sets = await Promise.all(paths.map((path) => e2e(path!)));
  expect(sets.map((pairs) => pairs.length)).toEqual([4_672, 4_693]);
  expect(sets.map((pairs) => meanings(pairs).length)).toEqual([547, 630]);
});
