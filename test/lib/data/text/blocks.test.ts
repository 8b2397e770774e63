// Blocks of text: every token in exactly one record.

import { gzipSync } from 'node:zlib';
import { fc, test as property } from '@fast-check/jest';
import { ByteTokenizer, CharacterTokenizer, readText, textBlocks } from '../../../../lib/data';
import { file, shared, thrown } from '../support';

property.prop([fc.string({ minLength: 2, maxLength: 60 }), fc.integer({ min: 2, max: 9 })])(
  'blocks joined are the beginning of the text, and what is left fills no block',
  (text, length) => {
    const tokenizer = new ByteTokenizer();
    const ids = [...tokenizer.encode(text)];
    if (ids.length < length) return;
    const blocks = textBlocks(text, { tokenizer, length });
    const joined = Array.from({ length: blocks.length }, (_, record) => [...blocks.ids(record)]).flat();
    expect(joined).toEqual(ids.slice(0, joined.length));
    expect(ids.length - joined.length).toBeLessThan(length);
    expect(joined).toHaveLength(blocks.length * length);
  },
);

test('the rest is a shorter block where it is asked for', () => {
  const tokenizer = new CharacterTokenizer('abc');
  const lengths = (text: string, rest: 'keep' | 'drop'): number[] => {
    const blocks = textBlocks(text, { tokenizer, length: 3, rest });
    return Array.from({ length: blocks.length }, (_, record) => blocks.lengthOf(record));
  };
  expect(lengths('abcab', 'drop')).toEqual([3]);
  expect(lengths('abcab', 'keep')).toEqual([3, 2]);
  expect(lengths('abca', 'keep')).toEqual([3]); // one token predicts nothing
});

test('a file reads the same gzipped, with CRLF and with a byte-order mark', async () => {
  const text = 'first line\n\n  second\n';
  for (const [name, content] of [
    ['plain.txt', text],
    ['packed.gz', gzipSync(text)],
    ['windows.txt', text.replaceAll('\n', '\r\n')],
    ['marked.txt', `\uFEFF${text}`],
  ] as const) {
    expect(await readText(file(name, content))).toBe(text);
  }
});

test('text that fills no block, and files without text, are refused', async () => {
  const tokenizer = new ByteTokenizer();
  expect((await thrown(() => textBlocks('ab', { tokenizer, length: 3 }))).code).toBe('ERR_INVALID_ARGUMENT');
  expect((await thrown(() => textBlocks('ab', { tokenizer, length: 1 }))).code).toBe('ERR_INVALID_ARGUMENT');
  expect((await thrown(() => readText(file('blank.txt', ' \n\n')))).code).toBe('ERR_DATA_FORMAT');
  expect((await thrown(() => readText(file('binary.txt', Buffer.from([65, 0, 66]))))).code).toBe('ERR_DATA_FORMAT');
});

const shakespeare = shared('tinyshakespeare/input.txt.gz');
(shakespeare === undefined ? test.skip : test)('tiny Shakespeare has 65 characters and 1,115,394 in all', async () => {
  const text = await readText(shakespeare!);
  const tokenizer = new CharacterTokenizer(text);
  expect([text.length, tokenizer.vocabularySize]).toEqual([1_115_394, 65]);
  const blocks = textBlocks(text, { tokenizer, length: 128 });
  expect(blocks.length).toBe(Math.floor(1_115_394 / 128));
  expect(tokenizer.decode(blocks.ids(0))).toBe(text.slice(0, 128));
});
