// Whole runs of every task: what they spend, write, measure, and give back.

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { fromConfig, loadWeights } from '../../../../lib/models';
import type { PrivacyStatement } from '../../../../lib/privacy';
import {
  evaluateFineTuned,
  fineTune,
  type FineTuneOptions,
  type FineTuneTask,
  type RunEvent,
} from '../../../../lib/tasks';
import { TASKS } from '../../../../lib/tasks/fine-tune';
import { VERSION } from '../../../../lib/version';
import {
  byteTokenizer,
  config,
  entries,
  json,
  path,
  pictures,
  sentiment,
  SHORT,
  tables,
  text,
  wordTokenizer,
} from './fixture';

jest.setTimeout(300_000);

type Case = {
  [T in FineTuneTask]: readonly [
    task: T,
    options: () => FineTuneOptions[T],
    metrics: readonly string[],
    rows: readonly string[],
  ];
}[FineTuneTask];

const MODEL = [
  ...['README.md', 'config.json', 'metrics.jsonl', 'model.safetensors', 'privacy.json', 'report.html', 'training.json'],
];

const cases: readonly Case[] = [
  [
    'lm',
    () => ({ ...SHORT, data: text(), config: config('gpt2'), block: 32 }),
    ['perplexity'],
    ['private', 'plain', 'before', 'unigram'],
  ],
  [
    'classifier',
    () => ({ ...SHORT, data: sentiment(), config: config('bert'), tokenizer: wordTokenizer() }),
    ['accuracy', 'macroF1'],
    ['private', 'plain', 'majority'],
  ],
  [
    'table2text',
    () => ({
      ...SHORT,
      data: tables(),
      config: config('gpt2', { n_positions: 128 }),
      tokenizer: byteTokenizer(),
      tables: 3,
    }),
    ['perplexity', 'bleu', 'nist', 'rougeL'],
    ['private', 'before', 'retrieval'],
  ],
  [
    'images',
    () => ({ ...SHORT, data: pictures(), config: config('vit') }),
    ['accuracy', 'macroF1'],
    ['private', 'majority'],
  ],
];

describe.each(cases)('train %s', (task, options, metrics, rows) => {
  const out = path(`out-${task}`);

  test('stays within its budget, and its folder says what the report says', async () => {
    const events: RunEvent[] = [];
    const report = await fineTune(
      task,
      { ...options(), plain: rows.includes('plain') },
      {
        out,
        onEvent: (one) => events.push(one),
      },
    );
    expect(report.privacy.epsilon).toBeLessThanOrEqual(SHORT.epsilon);
    expect(report.privacy.epsilon).toBeGreaterThan(SHORT.epsilon * 0.98);
    expect(report.rows.map(({ name }) => name)).toEqual(rows);
    expect(Object.keys(report.rows[0]!.metrics)).toEqual(metrics);
    for (const { metrics: values } of report.rows) expect(Object.values(values).every(Number.isFinite)).toBe(true);
    expect(entries(out)).toEqual(expect.arrayContaining(MODEL));
    expect(json(out, 'privacy.json')).toMatchObject({ epsilon: report.privacy.epsilon, delta: SHORT.delta });
    expect(json(out, 'training.json')).toMatchObject({
      phantomgrad: VERSION,
      task,
      training: {
        epochs: SHORT.epochs,
        groupScale: TASKS[task].defaults.groupScale.scratch,
        average: TASKS[task].defaults.average.scratch,
      },
    });
    expect(events.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['records', 'plan', 'step', 'measuring', 'saved']),
    );
    expect(readFileSync(path(`out-${task}`, 'report.html'), 'utf8')).toContain(report.statement.text.slice(0, 20));
  });

  test('README.md repeats the promise, and nothing that was measured', () => {
    const card = readFileSync(path(`out-${task}`, 'README.md'), 'utf8');
    const { text: promise, unit, notCovered } = json(out, 'privacy.json') as unknown as PrivacyStatement;
    for (const said of [promise, unit, ...notCovered]) expect(card).toContain(said);
    expect(card).toMatch(/^---\nlibrary_name: "transformers"\n/);
    expect(card).not.toContain('## Results');
  });

  test('measured again from its folder it is what it was', async () => {
    const data = {
      lm: text('again.txt', 12),
      classifier: path('sst2'),
      table2text: path('e2e'),
      images: path('pictures'),
    };
    const again = await evaluateFineTuned(out, data[task]);
    expect(again.task).toBe(task);
    if (task === 'lm') return expect(again.rows[0]!.metrics.perplexity).toBeGreaterThan(1); // another text
    const lines = readFileSync(path(`out-${task}`, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n');
    const logged = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(logged.find((line) => line.of === 'private')).toMatchObject(again.rows[0]!.metrics);
  });

  test('beams belong to tables: there they count as those of training would, elsewhere they are refused', async () => {
    const refused = { code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('beams') };
    const measured = async (folder: string, beams?: number): Promise<unknown> =>
      (await evaluateFineTuned(folder, path('e2e'), undefined, beams === undefined ? {} : { beams })).rows;
    if (task !== 'table2text') return expect(measured(out, 2)).rejects.toMatchObject(refused);
    await expect(measured(out, 0)).rejects.toMatchObject(refused);
    const other = path('out-beams');
    cpSync(out, other, { recursive: true });
    const { settings, ...rest } = json(out, 'training.json') as { settings: object };
    writeFileSync(join(other, 'training.json'), JSON.stringify({ ...rest, settings: { ...settings, beams: 3 } }));
    const wide = await measured(other);
    expect(await measured(out, 3)).toEqual(wide);
    expect(await measured(other, 1)).toEqual(await measured(out));
  });
});

test('names of classes are those of the data, in config.json too', () => {
  expect(json(path('out-images'), 'config.json')).toMatchObject({
    id2label: { 0: 'above', 1: 'below' },
    num_labels: 2,
  });
});

test('with little noise a classifier learns the word that decides', async () => {
  const { rows } = await fineTune('classifier', {
    ...{ data: sentiment(), config: config('bert', { initializer_range: 0.3 }), tokenizer: wordTokenizer() },
    ...{ epsilon: 100, delta: 1e-3, epochs: 10, batchSize: 80 },
  });
  expect(rows[0]!.metrics.accuracy).toBeGreaterThan(0.9);
});

test('with little noise a language model beats the frequencies of tokens', async () => {
  const { rows } = await fineTune('lm', {
    ...{ data: text(), config: config('gpt2'), block: 32 },
    ...{ epsilon: 100, delta: 1e-3, epochs: 8, batchSize: 40, learningRate: 2e-2 },
  });
  const of = (name: string): number => rows.find((row) => row.name === name)!.metrics.perplexity!;
  expect(of('private')).toBeLessThan(of('unigram'));
  expect(of('unigram')).toBeLessThan(of('before'));
});

describe('a pretrained masked language model', () => {
  const [folder, begun] = [path('masked'), path('begun')];
  beforeAll(async () => {
    wordTokenizer('masked');
    using model = disposable(fromConfig({ ...json(config('bert')), vocab_size: 20 }, { task: 'masked-lm' }));
    await model.value.savePretrained(folder);
    // Too slow to move anything: what all of them begin with.
    await fineTune(
      'classifier',
      { ...SHORT, data: sentiment(), model: folder, headOnly: true, learningRate: 1e-30 },
      { out: begun },
    );
  });

  test('is trained by filling in words, and measured before and after', async () => {
    const out = path('infilled');
    const { rows } = await fineTune(
      'classifier',
      {
        ...{ ...SHORT, data: sentiment(), model: folder, infilling: true },
        ...{ template: '{0} it was {mask} .', words: ['terrible', 'great'] },
      },
      { out },
    );
    expect(rows.map(({ name }) => name)).toEqual(['private', 'before', 'majority']);
    expect(entries(out)).toContain('vocab.txt');
    expect(json(out, 'config.json')).toMatchObject({ architectures: ['BertForMaskedLM'] });
    expect((await evaluateFineTuned(out, path('sst2'))).rows[0]!.metrics).toEqual(rows[0]!.metrics);
  });

  test.each([
    ['head', { headOnly: true }, /^classifier\./],
    ['biases', { biasesOnly: true }, /^classifier\.|bias$/],
    ['low-rank additions', { lora: 2 }, /^classifier\.|attention\.self\.(query|key|value)\.weight$/],
  ] as const)('%s: nothing else changes, and the new head is trained as well', async (name, trains, expected) => {
    const out = path(`only-${name}`);
    await fineTune('classifier', { ...SHORT, data: sentiment(), model: folder, learningRate: 0.1, ...trains }, { out });
    const changed = await differing(out, begun);
    expect(changed.filter((tensor) => !expected.test(tensor))).toEqual([]);
    expect(changed.filter((tensor) => /^classifier\./.test(tensor))).toHaveLength(2);
    expect(changed.length > 2).toBe(name !== 'head');
  });
});

async function differing(left: string, right: string): Promise<string[]> {
  const [of, to] = await Promise.all([left, right].map((folder) => loadWeights(`${folder}/model.safetensors`)));
  const names = [...of!.tensors]
    .filter(([name, tensor]) => !tensor.equal(to!.tensors.get(name)!))
    .map(([name]) => name);
  return names;
}

function disposable<T extends { dispose(): void }>(value: T): { value: T } & Disposable {
  return { value, [Symbol.dispose]: () => value.dispose() };
}
