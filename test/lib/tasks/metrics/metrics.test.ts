// Metrics equal those of the tools that papers use, to 1e-6 and far below, and obey what they are defined to obey.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fc, test as property } from '@fast-check/jest';
import {
  accuracy,
  bleu,
  type BleuResult,
  exportPredictions,
  macroF1,
  matthews,
  nist,
  perplexity,
  rougeL,
  tokenize13a,
} from '../../../../lib/tasks/metrics';
import { thrown } from '../../data/support';

interface Corpus {
  texts: string[];
  references: string[][];
  bleu: BleuResult;
  bleuLowercase: BleuResult;
  bleuUnsmoothed: BleuResult;
  rougeL: { precision: number; recall: number; f1: number };
  nist: number;
}
const reference = JSON.parse(readFileSync(join(__dirname, '../../../fixtures/metrics/reference.json'), 'utf8')) as {
  tokens: { text: string; tokens: string[] }[];
  corpora: Record<string, Corpus>;
  nltkNist: number;
  classifications: {
    classes: number;
    truth: number[];
    predicted: number[];
    accuracy: number;
    macroF1: number;
    matthews: number;
  }[];
};

// Sums of some hundred doubles: 1e-10 is far above their rounding, and far below the 1e-6 that is promised.
function close(ours: unknown, theirs: unknown): void {
  if (typeof theirs === 'number') {
    expect(Math.abs((ours as number) - theirs)).toBeLessThanOrEqual(1e-10 * Math.max(1, Math.abs(theirs)));
    return;
  }
  const [mine, yours] = [ours as Record<string, unknown>, theirs as Record<string, unknown>];
  expect(Object.keys(mine).sort()).toEqual(Object.keys(yours).sort());
  for (const key of Object.keys(yours)) close(mine[key], yours[key]);
}

test.each(reference.tokens)('the tokens of $text are those of sacrebleu', ({ text, tokens }) => {
  expect(tokenize13a(text)).toEqual(tokens);
});

describe.each(Object.entries(reference.corpora))('%s', (_, corpus) => {
  const { texts, references } = corpus;
  test('BLEU is that of sacrebleu, smoothed, unsmoothed and in small letters', () => {
    close(bleu(texts, references), corpus.bleu);
    close(bleu(texts, references, { lowercase: true }), corpus.bleuLowercase);
    close(bleu(texts, references, { smoothing: 'none' }), corpus.bleuUnsmoothed);
  });

  test('ROUGE-L is that of rouge-score', () => close(rougeL(texts, references), corpus.rougeL));

  test('NIST is what its definition gives', () => close(nist(texts, references), corpus.nist));
});

test('NIST with one reference is that of NLTK', () => {
  const { texts, references } = reference.corpora['one reference']!;
  close(nist(texts, references), reference.nltkNist);
});

test.each(reference.classifications)('$classes classes: accuracy, macro-F1 and Matthews correlation', (one) => {
  const { classes, truth, predicted } = one;
  close(accuracy(truth, predicted), one.accuracy);
  close(macroF1(truth, predicted, classes), one.macroF1);
  close(matthews(truth, predicted, classes), one.matthews);
});

const sentence = fc
  .array(fc.constantFrom('a', 'b', 'c', 'd', 'e.'), { minLength: 4, maxLength: 12 })
  .map((w) => w.join(' '));
const corpora = fc.array(
  fc.record({ text: sentence, references: fc.array(sentence, { minLength: 1, maxLength: 3 }) }),
  {
    minLength: 1,
    maxLength: 6,
  },
);

property.prop([corpora])('a text that is one of its references is perfect', (pairs) => {
  const references = pairs.map((pair) => [...pair.references, pair.text]);
  const texts = pairs.map(({ text }) => text);
  close(bleu(texts, references).score, 100);
  close(rougeL(texts, references).f1, 1);
});

property.prop([corpora])('a reference given twice changes no score', (pairs) => {
  const [texts, references] = [pairs.map(({ text }) => text), pairs.map((pair) => pair.references)];
  const twice = references.map((list) => [...list, list[0]!]);
  close(bleu(texts, twice), bleu(texts, references));
  close(rougeL(texts, twice), rougeL(texts, references));
});

property.prop([corpora])('metrics do not depend on the order of texts or of references', (pairs) => {
  const [texts, references] = [pairs.map(({ text }) => text), pairs.map((pair) => pair.references)];
  const turned = references.map((list) => list.slice().reverse()).reverse();
  for (const metric of [
    (t: string[], r: string[][]) => bleu(t, r).score,
    nist,
    (t: string[], r: string[][]) => rougeL(t, r).f1,
  ])
    close(metric(texts.slice().reverse(), turned), metric(texts, references));
});

test('perplexity weighs tokens alike, and a uniform guess among k tokens has k', () => {
  expect(perplexity([2 * Math.log(7), 5 * Math.log(7)], [2, 5])).toBeCloseTo(7, 12);
  expect(perplexity([3, 1], [3, 1])).toBeCloseTo(perplexity([4], [4]), 12);
});

property.prop([fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { minLength: 1, maxLength: 40 })])(
  'Matthews correlation is symmetric, within -1 and 1, and 1 exactly for perfect predictions of more than one class',
  (pairs) => {
    const [truth, predicted] = [pairs.map(([t]) => t), pairs.map(([, p]) => p)];
    const value = matthews(truth, predicted, 4);
    expect(matthews(predicted, truth, 4)).toBeCloseTo(value, 12);
    expect(Math.abs(value)).toBeLessThanOrEqual(1 + 1e-12);
    expect(matthews(truth, truth, 4)).toBeCloseTo(new Set(truth).size > 1 ? 1 : 0, 12);
  },
);

test('lists that do not fit are refused', async () => {
  for (const action of [
    () => bleu(['a'], []),
    () => bleu([], []),
    () => bleu(['a'], [[]]),
    () => bleu(['a'], [['a']], { smoothing: 'floor' as never }),
    () => nist(['a'], [['a']], { order: 4 } as never),
    () => rougeL(['a', 'b'], [['a']]),
    () => accuracy([0], [0, 1]),
    () => accuracy([], []),
    () => macroF1([0, 2], [0, 1], 2),
    () => matthews([0, 0.5], [0, 1]),
    () => perplexity([1], []),
    () => perplexity([1], [0]),
  ]) {
    expect((await thrown(action)).code).toBe('ERR_INVALID_ARGUMENT');
  }
  expect((await thrown(() => perplexity([NaN], [1]))).code).toBe('ERR_NOT_FINITE');
});

describe('exported files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'phantomgrad-export-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const read = (path: string): string => readFileSync(path, 'utf8');

  test('have a line a text, and references in blocks and in columns', () => {
    const files = exportPredictions(
      join(folder, 'run'),
      ['one\r\n two', 'three', ''],
      [['a', 'b\nb'], ['c'], ['d', 'e', 'f']],
    );
    expect(read(files.predictions)).toBe('one two\nthree\n\n');
    expect(read(files.e2eReferences)).toBe('a\nb b\n\nc\n\nd\ne\nf\n');
    expect(files.references.map(read)).toEqual(['a\nc\nd\n', 'b b\nc\ne\n', 'a\nc\nf\n']);
  });

  test('hold no empty reference, and nothing is written then', async () => {
    const error = await thrown(() => exportPredictions(join(folder, 'bad'), ['x'], [[' \n']]));
    expect(error.code).toBe('ERR_INVALID_ARGUMENT');
    expect(() => read(join(folder, 'bad', 'predictions.txt'))).toThrow();
  });
});
