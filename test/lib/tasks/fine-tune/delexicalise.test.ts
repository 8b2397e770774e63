// A run with placeholders: what is written about a table holds the table's own values, here and in `write`.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

import { fromPretrained } from '../../../../lib/models';
import { evaluateFineTuned, fineTune, write } from '../../../../lib/tasks';
import { noGrad } from '../../../../lib/tensor';
import { byteTokenizer, config, json, path, SHORT, tables } from './fixture';

jest.setTimeout(120_000);

// The field n has the placeholder N, one byte: a model that says N for ever writes the value for ever.
function letterTables(): string {
  mkdirSync(path('letters'), { recursive: true });
  const rows = (file: string, text: (name: string) => string): void => {
    const names = Array.from({ length: 40 }, (_, k) => ['The Mill', 'Cocum'][k % 2]!);
    const csv = names.map((name) => `"n[${name}], eatType[pub]","${text(name)}"\n`).join('');
    writeFileSync(path('letters', file), `mr,ref\n${csv}`);
  };
  rows('trainset.csv', (name) => `${name} is a pub.`);
  rows('testset_w_refs.csv', (name) => `${name}${name}${name}${name}`);
  return path('letters');
}

async function sayForEver(folder: string, byte: number): Promise<void> {
  const model = await fromPretrained(folder, { task: 'causal-lm' });
  const parameters = new Map(model.namedParameters());
  noGrad(() => {
    parameters.get('backbone.norm.weight')!.fill_(0);
    parameters.get('backbone.norm.bias')!.fill_(1);
    parameters.get('backbone.words.weight')!.zero_().select(0, byte).fill_(1);
  });
  await model.savePretrained(folder);
  model.dispose();
}

test('values are put back into what is evaluated and into what is written', async () => {
  const [out, data] = [path('out'), letterTables()];
  const report = await fineTune(
    'table2text',
    {
      ...SHORT,
      ...{ data, config: config('gpt2', { n_positions: 128 }), tokenizer: byteTokenizer(), tables: 2 },
      ...{ maxTarget: 4, delexicalise: ['n'] },
    },
    { out },
  );
  expect(report.rows.map(({ name }) => name)).toContain('retrievalDelexicalised');
  await sayForEver(out, 'N'.charCodeAt(0));
  const written = await write(out, ['n[Raja], eatType[pub]', 'n[Inn]'], { maxNewTokens: 2 });
  expect(written.map(({ text }) => text)).toEqual(['RajaRaja', 'InnInn']);
  const { rows } = await evaluateFineTuned(out, data);
  expect(rows[0]!.metrics.rougeL).toBe(1);

  const settings = json(out, 'training.json') as { settings: Record<string, unknown> };
  delete settings.settings['delexicalise']; // as in folders from before there were placeholders
  writeFileSync(path('out', 'training.json'), JSON.stringify(settings));
  expect((await write(out, ['n[Raja]'], { maxNewTokens: 2 }))[0]!.text).toBe('NN');
});

test('a field that no table has is refused before anything is made', async () => {
  const run = fineTune(
    'table2text',
    { ...SHORT, data: tables(), config: config('gpt2'), tokenizer: byteTokenizer(), delexicalise: ['nam'] },
    { out: path('none') },
  );
  await expect(run).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  expect(() => readFileSync(path('none', 'training.json'))).toThrow(/ENOENT/);
});
