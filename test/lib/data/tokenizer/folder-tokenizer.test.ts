// The tokenizer of a folder gives the ids that the Rust tokenizers give, and says what is wrong with a folder.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { encodeBatch, type FolderTokenizer, tokenizer } from '../../../../lib/data';
import { shared, temporaryFolder, thrown } from '../support';

interface Reference {
  cases: { text: string; ids: number[]; plain: number[]; decoded: string }[];
  pairs: { first: string; second: string; ids: number[]; types: number[]; cut: number[] }[];
}
const reference = JSON.parse(
  readFileSync(join(__dirname, '../../../fixtures/data/tokenizer-ids.json'), 'utf8'),
) as Record<'gpt2' | 'bert', Reference>;

let folders = 0;
/** A fresh folder with these files. */
function folder(files: Record<string, string | Uint8Array>): string {
  const path = join(temporaryFolder(), `tokenizer-${folders++}`);
  mkdirSync(path);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

const unpacked = (name: string): Buffer | undefined => {
  const path = shared(`tokenizers/${name}.gz`);
  return path === undefined ? undefined : gunzipSync(readFileSync(path));
};
const encoder = unpacked('gpt2-encoder.json');
const merges = unpacked('gpt2-vocab.bpe');
const words = unpacked('bert-base-uncased-vocab.txt');

const families: ['gpt2' | 'bert', Record<string, Uint8Array> | undefined, number][] = [
  ['gpt2', encoder && merges && { 'encoder.json': encoder, 'vocab.bpe': merges }, 50257],
  ['bert', words && { 'vocab.txt': words }, 30522],
];

for (const [family, files, size] of families) {
  if (files === undefined) continue;
  describe(`${family} from its older files`, () => {
    let made: FolderTokenizer;
    beforeAll(async () => {
      made = await tokenizer(folder(files), { vocabularySize: size });
    });

    test.each(reference[family].cases)('the ids of $text are those of the Rust tokenizer', ({ text, ids, plain }) => {
      expect([...made.encode(text)]).toEqual(ids);
      expect([...made.encode(text, { specials: false })]).toEqual(plain);
    });

    test.each(reference[family].cases)('the ids of $text decode as there', ({ ids, decoded }) => {
      expect(made.decode(ids)).toBe(decoded);
    });

    test.each(reference[family].pairs)('pairs carry special tokens and types: $first', (pair) => {
      const { ids, types } = made.encodePair(pair.first, pair.second);
      expect([...ids]).toEqual(pair.ids);
      if (family === 'bert') expect([...types]).toEqual(pair.types);
    });

    test('a text that is cut keeps its beginning and its special tokens', () => {
      const [text] = reference[family].cases.map((one) => one.text) as [string];
      const whole = made.encode(text);
      const cut = made.encode(text, { maxLength: 6 });
      expect(cut).toHaveLength(6);
      const [first, last] = family === 'bert' ? [5, whole.at(-1)] : [6, whole[5]];
      expect([...cut.subarray(0, first)]).toEqual([...whole.subarray(0, first)]);
      expect(cut[5]).toBe(last);
    });

    test('of a pair the longer text is cut, and types stay with their texts', () => {
      const { ids, types } = made.encodePair('one', 'one two three four five six seven eight', { maxLength: 8 });
      expect(ids).toHaveLength(8);
      expect([...ids]).toEqual(expect.arrayContaining([...made.encode('one', { specials: false })]));
      if (family === 'bert') expect([...types]).toEqual([0, 0, 0, 1, 1, 1, 1, 1]);
    });

    test.each(reference[family].pairs)('pairs are cut as there: $first', ({ first, second, cut }) => {
      expect([...made.encodePair(first, second, { maxLength: 16 }).ids]).toEqual(cut);
    });

    test('a batch is every text by itself', () => {
      const texts = reference[family].cases.slice(0, 3).map(({ text }) => text);
      expect(encodeBatch(made, texts)).toEqual(texts.map((text) => made.encode(text)));
    });

    test('a model with fewer rows than the tokenizer has ids is refused', async () => {
      const error = await thrown(() => tokenizer(folder(files), { vocabularySize: size - 1 }));
      expect(error.code).toBe('ERR_VOCABULARY');
    });

    test('ids outside the vocabulary are refused, none decode to nothing', async () => {
      expect((await thrown(() => made.decode([size]))).code).toBe('ERR_VOCABULARY');
      expect(made.decode([])).toBe('');
    });
  });
}

const shakespeare = shared('tinyshakespeare/input.txt.gz');
const onRealData = encoder === undefined || merges === undefined ? test.skip : test;
(shakespeare === undefined ? test.skip : onRealData)(
  'tiny Shakespeare is 338,025 tokens of GPT-2, as nanoGPT counts them (301,966 + 36,059)',
  async () => {
    const made = await tokenizer(folder({ 'encoder.json': encoder!, 'vocab.bpe': merges! }));
    const text = gunzipSync(readFileSync(shakespeare!)).toString('utf8');
    const ids = made.encode(text);
    expect(ids).toHaveLength(338_025);
    expect(made.decode(ids)).toBe(text);
  },
);

onRealData(
  'GPT-2 by vocab.json and merges.txt, and by tokenizer.json, gives the same ids as by its oldest names',
  async () => {
    const description = {
      added_tokens: [{ id: 50256, content: '<|endoftext|>', special: true, normalized: false }],
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
      decoder: { type: 'ByteLevel' },
      model: {
        type: 'BPE',
        vocab: JSON.parse(encoder!.toString('utf8')) as unknown,
        merges: merges!.toString('utf8').trimEnd().split('\n').slice(1),
      },
    };
    const json = await tokenizer(
      folder({
        'tokenizer.json': JSON.stringify(description),
        'special_tokens_map.json': JSON.stringify({
          bos_token: '<|endoftext|>',
          pad_token: { content: '<|endoftext|>' },
        }),
      }),
    );
    const pair = await tokenizer(folder({ 'vocab.json': encoder!, 'merges.txt': merges! }));
    for (const { text, ids } of reference.gpt2.cases) {
      expect([...json.encode(text)]).toEqual(ids);
      expect([...pair.encode(text)]).toEqual(ids);
    }
    expect(json.special).toMatchObject({ bos: 50256, pad: 50256, mask: null });
    expect(pair.special).toMatchObject({ bos: 50256, eos: 50256, pad: null });
  },
);

const ROBERTA = ['<s>', '<pad>', '</s>', '<unk>', 'a', 'b', 'Ġ', 'Ġa', '<mask>'];

test('RoBERTa frames texts with <s> and </s>, and <mask> takes the space before it', async () => {
  const made = await tokenizer(
    folder({
      'vocab.json': JSON.stringify(Object.fromEntries(ROBERTA.map((token, id) => [token, id]))),
      'merges.txt': '#version: 0.2\nĠ a\n',
    }),
  );
  expect([...made.encode('a a <mask>b')]).toEqual([0, 4, 7, 8, 5, 2]);
  expect([...made.encodePair('a', 'b').ids]).toEqual([0, 4, 2, 2, 5, 2]);
  expect([...made.encodePair('a', '').ids]).toEqual([0, 4, 2, 2, 2]);
  expect(made.special).toEqual({ bos: 0, eos: 2, pad: 1, unk: 3, cls: 0, sep: 2, mask: 8 });
});

describe('BERT vocabularies', () => {
  const vocab = (more: string[]): string => ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ...more].join('\n') + '\n';

  test('with capital letters are cased, without are not, and do_lower_case decides where it is given', async () => {
    const cased = await tokenizer(folder({ 'vocab.txt': vocab(['A', 'a']) }));
    const uncased = await tokenizer(folder({ 'vocab.txt': vocab(['a']) }));
    const told = await tokenizer(
      folder({ 'vocab.txt': vocab(['A', 'a']), 'tokenizer_config.json': '{"do_lower_case": true}' }),
    );
    const plain = { specials: false };
    expect([cased, uncased, told].map((made) => [...made.encode('A a', plain)])).toEqual([
      [5, 6],
      [5, 5],
      [6, 6],
    ]);
  });

  test('what they do not know is [UNK]', async () => {
    const made = await tokenizer(folder({ 'vocab.txt': vocab(['a', '##b']) }));
    expect([...made.encode('ab zz', { specials: false })]).toEqual([5, 6, 1]);
  });
});

describe('a folder that is not right is refused, by file', () => {
  const cases: [string, Record<string, string>, RegExp][] = [
    ['nothing in it', {}, /tokenizer-\d+$/],
    ['tokenizer.json is no JSON', { 'tokenizer.json': '{"model":' }, /tokenizer\.json$/],
    ['tokenizer.json is a list', { 'tokenizer.json': '[]' }, /tokenizer\.json$/],
    ['tokenizer.json has no vocabulary', { 'tokenizer.json': '{"model":{}}' }, /tokenizer\.json$/],
    ['a model of unknown type', { 'tokenizer.json': '{"model":{"type":"Odd","vocab":5}}' }, /tokenizer\.json$/],
    ['a token without an id', { 'vocab.json': '{"<|endoftext|>":"x"}', 'merges.txt': '' }, /vocab\.json$/],
    ['a vocabulary of another family', { 'vocab.json': '{"a":0}', 'merges.txt': '' }, /vocab\.json$/],
    ['a merge of three', { 'vocab.json': '{"<|endoftext|>":0}', 'merges.txt': 'a b\na b c\n' }, /merges\.txt$/],
    ['a merge at ends of words', { 'vocab.json': '{"<|endoftext|>":0}', 'merges.txt': 'a b</w>\n' }, /merges\.txt$/],
    ['WordPiece without [CLS]', { 'vocab.txt': '[UNK]\n[SEP]\na\n' }, /vocab\.txt$/],
    ['a word twice', { 'vocab.txt': '[UNK]\n[SEP]\n[CLS]\na\na\n' }, /vocab\.txt$/],
    [
      'a special token that is not in the vocabulary',
      { 'vocab.txt': '[UNK]\n[SEP]\n[CLS]\na\nb\n', 'special_tokens_map.json': '{"pad_token":"<none>"}' },
      /vocab\.txt$/,
    ],
  ];
  test.each(cases)('%s', async (_, files, file) => {
    const error = await thrown(() => tokenizer(folder(files)));
    expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT', place: { file: expect.stringMatching(file) } });
  });

  test('a file of merges says the line', async () => {
    const error = await thrown(() =>
      tokenizer(folder({ 'vocab.json': '{"<|endoftext|>":0}', 'merges.txt': 'a b\na b c\n' })),
    );
    expect(error['place']).toMatchObject({ line: 2 });
  });

  test('no folder at all, and options out of range', async () => {
    expect((await thrown(() => tokenizer('/nowhere/model'))).code).toBe('ERR_DATA_FORMAT');
    expect((await thrown(() => tokenizer('/nowhere/model', { vocabularySize: 0 }))).code).toBe('ERR_INVALID_ARGUMENT');
    expect((await thrown(() => tokenizer('/nowhere/model', { size: 1 } as never))).code).toBe('ERR_INVALID_ARGUMENT');
  });
});
