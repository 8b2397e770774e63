// Character and byte tokenizers lose nothing, and know nothing that they were not given.

import { fc, test as property } from '@fast-check/jest';
import { ByteTokenizer, CharacterTokenizer } from '../../../../lib/data';
import { thrown } from '../support';

const text = fc.string({ unit: 'binary', minLength: 1 });

property.prop([text])('characters: decode undoes encode, and ids are below the vocabulary size', (sample) => {
  const made = new CharacterTokenizer(sample);
  const ids = made.encode(sample);
  expect(made.decode(ids)).toBe(sample);
  expect(Math.max(...ids)).toBeLessThan(made.vocabularySize);
  expect(made.vocabularySize).toBe(new Set(sample).size);
});

property.prop([text])('characters: the alphabet alone gives the same ids', (sample) => {
  const made = new CharacterTokenizer(sample);
  expect(new CharacterTokenizer(made.alphabet).encode(sample)).toEqual(made.encode(sample));
});

property.prop([fc.string({ unit: 'grapheme' })])('bytes: decode undoes encode of any text', (sample) => {
  const made = new ByteTokenizer();
  expect(made.decode(made.encode(sample))).toBe(sample);
  expect(made.encode(sample)).toHaveLength(Buffer.byteLength(sample));
});

test('what the alphabet does not hold is refused', async () => {
  const made = new CharacterTokenizer('abc');
  expect((await thrown(() => made.encode('abd'))).code).toBe('ERR_VOCABULARY');
  expect((await thrown(() => made.decode([3]))).code).toBe('ERR_VOCABULARY');
  expect((await thrown(() => new ByteTokenizer().decode([256]))).code).toBe('ERR_VOCABULARY');
  expect((await thrown(() => new CharacterTokenizer(''))).code).toBe('ERR_INVALID_ARGUMENT');
});

test('texts are cut at their end, of a pair the longer one', () => {
  const made = new CharacterTokenizer('abc');
  expect([...made.encode('abcabc', { maxLength: 2 })]).toEqual([0, 1]);
  expect([...made.encodePair('ab', 'ccccc', { maxLength: 4 }).ids]).toEqual([0, 1, 2, 2]);
});
