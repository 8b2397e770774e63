// What tasks make ready: yardsticks see what models see, no character is cut in two, and statements leave nothing out.

import { writeFileSync } from 'node:fs';

import { type AnyTask, makeJob, TASKS } from '../../../../lib/tasks/fine-tune/job';
import type { Material } from '../../../../lib/tasks/fine-tune/material';
import { type CommonOptions, resolveCommon } from '../../../../lib/tasks/fine-tune/options';
import { byteTokenizer, config, path, pictures, sentiment, SHORT, tables, wordTokenizer } from './fixture';

jest.setTimeout(300_000);

function prepared(name: keyof typeof TASKS, options: CommonOptions & Record<string, unknown>): Promise<Material> {
  const task = TASKS[name] as AnyTask;
  return task.prepare(options, resolveCommon(name, options, task.defaults));
}

function file(name: string, content: string): string {
  writeFileSync(path(name), content);
  return path(name);
}

const baselines = async (...of: Parameters<typeof prepared>): Promise<unknown> =>
  (await prepared(...of)).baselines(() => undefined);

test('frequencies of tokens are counted in the records that a quick run trains on, and held against those it measures', async () => {
  const text = (head: string, count: number, tail: string): string => head.repeat(count) + tail.repeat(800);
  const measured = (train: string, held: string): Promise<unknown> =>
    baselines('lm', {
      ...{ data: file(`train-${train}.txt`, text('ab', 1000, train)), test: file('held.txt', text('ba', 200, held)) },
      ...{ config: config('gpt2'), block: 2, quick: true },
    });
  expect(await measured('ab', 'ba')).toEqual(await measured('cd', 'ef'));
});

test('the nearest table of a quick run is looked up for the tables that its models write about', async () => {
  const rows = (from: number, to: number, reference: string): string =>
    Array.from({ length: to - from }, (_, k) => `name[The ${(from + k) % 25}],${reference} ${(from + k) % 25}.\n`).join(
      '',
    );
  const measured = (rest: string): Promise<unknown> =>
    baselines('table2text', {
      ...{ data: file('t.csv', `mr,ref\n${rows(0, 50, 'It is a pub')}`), tokenizer: byteTokenizer() },
      ...{ test: file('h.csv', `mr,ref\n${rows(0, 200, 'Here is a bar')}${rows(200, 300, rest)}`), quick: true },
      config: config('gpt2', { n_positions: 256 }),
    });
  expect(await measured('It is a pub')).toEqual(await measured('Nothing like it'));
});

test('the end of a text that is held out begins with a whole character', async () => {
  const data = file('faces.txt', '\u{1f600}'.repeat(75)); // nine tenths of 150 code units end within a face
  const { train, exam } = await prepared('lm', { data, config: config('gpt2'), block: 32 });
  expect([train.length, exam.records]).toEqual([8, 1]);
});

describe('a statement does not cover', () => {
  const saying = async (...of: Parameters<typeof prepared>): Promise<string> =>
    (await prepared(...of)).notCovered.join();
  const bert = { config: config('bert'), tokenizer: wordTokenizer() };

  test('a tokenizer that was learned from the texts', async () => {
    const lm = { data: file('long.txt', 'ab'.repeat(600)), config: config('gpt2'), block: 8 };
    expect(await saying('lm', lm)).not.toMatch(/tokenizer/); // bytes are learned from nothing
    expect(await saying('lm', { ...lm, tokenizer: byteTokenizer() })).toMatch(/tokenizer/);
    expect(await saying('classifier', { ...bert, data: sentiment() })).toMatch(/tokenizer/);
    const writer = { data: tables(), tokenizer: byteTokenizer(), config: config('gpt2', { n_positions: 256 }) };
    expect(await saying('table2text', writer)).toMatch(/tokenizer/);
    expect(await saying('table2text', { ...writer, unit: 'mr' })).toMatch(/tokenizer/);
  });

  test('blocks that begin elsewhere because a text before them is longer', async () => {
    expect(await saying('lm', { data: path('long.txt'), config: config('gpt2'), block: 8 })).toMatch(
      /moves all blocks/,
    );
  });

  test('the classes and the size of images', async () => {
    expect(await saying('images', { data: pictures(), config: config('vit') })).toMatch(/names.*classes.*size.*images/);
  });

  test('the record that moves up in a quick run where another one leaves', async () => {
    const left = async (quick: boolean): Promise<string> => {
      const options = { ...SHORT, ...bert, data: sentiment(), quick };
      const { material, engine, model } = await makeJob(TASKS.classifier, options);
      engine.close();
      model.dispose();
      return material.notCovered.join();
    };
    expect(await left(false)).not.toMatch(/first/);
    expect(await left(true)).toMatch(/first 1,000 examples/);
  });
});

describe('the scale beside the word table', () => {
  const scales = async (name: keyof typeof TASKS, options: object): Promise<[string, number][]> => {
    const { engine, model } = await makeJob(TASKS[name], { ...SHORT, ...options } as CommonOptions);
    const paths = [...model.namedParameters()].filter(([, one]) => one.requiresGrad).map(([path]) => path);
    const assigned = engine.plan.scales?.assign(paths) ?? paths.map(() => 1);
    engine.close();
    model.dispose();
    return paths.map((path, k) => [path, assigned[k]!]);
  };
  const bert = { data: sentiment('scaled'), tokenizer: wordTokenizer(), config: config('bert') };

  test('is that of every other weight, of a classifier from scratch by default', async () => {
    const other = TASKS.classifier.defaults.groupScale.scratch;
    expect(other).toBeLessThan(1);
    for (const [path, scale] of await scales('classifier', bert))
      expect([path, scale]).toEqual([path, path === 'backbone.embeddings.words.weight' ? 1 : other]);
    for (const [, scale] of await scales('classifier', { ...bert, groupScale: 1 })) expect(scale).toBe(1);
    for (const [, scale] of await scales('classifier', { ...bert, biasesOnly: true })) expect(scale).toBe(1);
  });

  test('is stated by modules, not weight by weight', async () => {
    const { engine, model } = await makeJob(TASKS.classifier, { ...SHORT, ...bert });
    const embeddings = ['positions', 'types', 'norm'].map((name) => `backbone.embeddings.${name}`);
    expect(engine.plan.scales?.groups.map(({ prefixes }) => prefixes)).toEqual([
      [...embeddings, 'backbone.blocks', 'backbone.pooler', 'head'],
    ]);
    engine.close();
    model.dispose();
  });

  test('leaves a table alone that the head shares', async () => {
    const lm = { data: file('scaled.txt', 'ab'.repeat(600)), config: config('gpt2'), block: 8 };
    for (const [, scale] of await scales('lm', lm)) expect(scale).toBe(1);
    const assigned = await scales('lm', { ...lm, groupScale: 0.25 });
    expect(assigned.filter(([, scale]) => scale === 1).map(([path]) => path)).toEqual(['backbone.words.weight']);
    expect(assigned.length).toBeGreaterThan(10);
  });
});
