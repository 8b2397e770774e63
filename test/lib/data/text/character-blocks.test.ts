// Laws of text as records: the alphabet is public, blocks are disjoint, nothing is added that was not written down before.

import { gzipSync } from 'node:zlib';

import { Alphabet, readText, syntheticText, characterBlocks } from '../../../../lib/data';
import { file, shared, temporaryFolder, thrown } from '../support';

test('text comes back from its numbers, and numbers start at 1', () => {
  const alphabet = new Alphabet();
  expect(alphabet.size).toBe(96);
  const text = 'To be, or not to be: {that}\n~ is the question?';
  const ids = alphabet.encode(text);
  expect(Math.min(...ids)).toBe(1); // the newline; 0 is padding
  expect(alphabet.decode(ids)).toBe(text);
  expect(new Alphabet('abä😀').decode(new Alphabet('abä😀').encode('😀ä'))).toBe('😀ä');
});

test('a character outside the alphabet is refused with file and line, and never added', () => {
  const alphabet = new Alphabet();
  const refusal = expect.objectContaining({ code: 'ERR_DATA_FORMAT', place: { file: 'play.txt', line: 3 } }) as Error;
  expect(() => alphabet.encode('one\ntwo\nthrée', 'play.txt')).toThrow(refusal);
  expect(alphabet.size).toBe(96);
  expect(() => new Alphabet('aba')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }) as Error);
});

test('files are read plain or gzipped, with one kind of line end; what is no UTF-8 is refused', async () => {
  expect(await readText(file('plain.txt', 'a\r\nb\rc\n'))).toBe('a\nb\nc\n');
  expect(await readText(file('packed', gzipSync('ä\nb')))).toBe('ä\nb');
  await expect(readText(file('latin1.txt', Uint8Array.of(97, 0xe4, 98)))).rejects.toMatchObject({
    code: 'ERR_DATA_FORMAT',
  });
  await expect(readText(`${temporaryFolder()}/none`)).rejects.toMatchObject({ code: 'ERR_DATA_FORMAT' });
});

test('every character belongs to at most one block, held-out blocks lie behind all others', () => {
  const alphabet = new Alphabet();
  const text = syntheticText({ characters: 1003 });
  const { train, validation } = characterBlocks(alphabet.encode(text), alphabet, { length: 9, heldOut: 0.2 });
  expect([train.length, validation.length]).toEqual([80, 20]); // 802 and 201 characters
  const joined = Array.from({ length: train.length }, (_, k) => alphabet.decode(train.sequence(k))).join('');
  expect(joined).toBe(text.slice(0, 800));
  expect(alphabet.decode(validation.sequence(0))).toBe(text.slice(802, 812));
});

test('a text that fills no block is refused, saying how much is needed', async () => {
  const alphabet = new Alphabet();
  const ids = alphabet.encode('x'.repeat(40));
  const cut = (length: number): unknown => characterBlocks(ids, alphabet, { length, file: 'short.txt' });
  expect(() => cut(9)).toThrow(/short\.txt: expected at least \d+ characters.*found 40/);
  const least = Number(/at least (\d+)/.exec((await thrown(() => cut(9))).message)?.[1]);
  expect(() => characterBlocks(new Int32Array(least).fill(1), alphabet, { length: 9 })).not.toThrow();
});

test('made-up text is the same for equal seeds, as long as asked, and within the alphabet', () => {
  const text = syntheticText({ characters: 5000, seed: 4 });
  expect(text).toHaveLength(5000);
  expect(syntheticText({ characters: 5000, seed: 4 })).toBe(text);
  expect(syntheticText({ characters: 5000, seed: 5 })).not.toBe(text);
  expect(new Alphabet().encode(text)).toHaveLength(5000);
  expect(text).toMatch(/^[A-Z]+:\n[A-Z][a-z]+[ a-z,]+[.!?]\n/);
});

const shakespeare = shared('tinyshakespeare/input.txt.gz');
(shakespeare === undefined ? test.skip : test)('the default alphabet holds all of TinyShakespeare', async () => {
  const alphabet = new Alphabet();
  const ids = alphabet.encode(await readText(shakespeare!));
  expect(new Set(ids).size).toBe(65);
  expect(characterBlocks(ids, alphabet, { length: 256 }).train.length).toBe(3906);
});
