// Laws of the figures: counts of the data are right, attention maps are what the operator does, drawings are well-formed.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { interactions } from '../../../../lib/data';
import { SequentialTransformer } from '../../../../lib/models';
import { frequencies } from '../../../../lib/privacy';
import { barChart } from '../../../../lib/report/bar-chart';
import { heatMap } from '../../../../lib/report/heat-map';
import { runExperiment } from '../../../../lib/tasks/experiments';
import { evenness, strongestColumn } from '../../../../lib/tasks/experiments/figures/fig-10';
import { describeDistribution } from '../../../../lib/tasks/experiments/figures/fig-6';
import { entries } from '../recommender/fixture';
import { all, parseMarkup } from './markup';

const home = mkdtempSync(join(tmpdir(), 'phantomgrad-figures-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
jest.setTimeout(120_000);
const html = (out: string): string => readFileSync(join(out, 'report.html'), 'utf8');
const offline = (text: string): void =>
  expect(text.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|<script|<link|<img|url\(/);

test('the distribution counts the training part: lengths, ranks, density', async () => {
  // Three users: 2, 2 and 4 training actions after the last one is held out; item a has 5 of 8.
  const rows = ['abx', 'aay', 'aabcz'].flatMap((items, user) =>
    Array.from(items, (item, k) => [user, item, k] as const),
  );
  const data = await interactions(rows, { minActions: 3 });
  const { users, items, actions, density, lengths, popularity, topTenth } = describeDistribution(data);
  expect({ users, items, actions }).toEqual({ users: 3, items: 6, actions: 8 });
  expect(density).toBeCloseTo(8 / 18, 12);
  expect(lengths.map(({ users: count }) => count)).toEqual([0, 2, 1]); // 1, 2 to 3, 4 to 7
  expect(popularity.slice(0, 3)).toEqual([
    [1, 5],
    [2, 2],
    [3, 1],
  ]);
  expect(topTenth).toBeCloseTo(5 / 8, 12);
});

test('an attention map is causal, its rows sum to 1, and noise moves it only where a model corrects for noise', () => {
  for (const heads of [1, 2]) {
    const model = new SequentialTransformer({
      items: 9,
      dim: 8,
      heads,
      blocks: 2,
      maxLength: 7,
      reAttention: true,
      seed: 3,
    });
    const history = Int32Array.of(4, 1, 9, 9, 2, 3, 7, 5); // longer than what is read, and than a head is wide
    const before = model.attentionMaps(history);
    expect(before.map((block) => block.length)).toEqual([heads, heads]);
    for (const map of before.flat()) {
      expect(map).toHaveLength(7);
      map.forEach((row, s) => {
        expect(row.slice(s + 1).every((weight) => weight === 0)).toBe(true);
        expect(row.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 5);
        expect(row.slice(0, s + 1).every((weight) => weight > 0)).toBe(true);
      });
    }
    const shares = Float64Array.from({ length: 10 }, (_, item) => (item === 9 ? 0.01 : 0.9));
    const error = { noiseMultiplier: 100, expectedBatchSize: 10, frequencies: frequencies.public(shares) };
    model.setEffectiveError(error);
    const [first] = model.attentionMaps(history);
    // Item 9 is rare, its key noisy: the correction takes weight from it.
    const weightOf9 = (map: number[][]): number =>
      map.reduce((sum, row) => sum + (row[1] as number) + (row[2] as number), 0);
    expect(weightOf9(first![0]!)).toBeLessThan(weightOf9(before[0]![0]!));
    model.dispose();
  }
  expect(() => new SequentialTransformer({ items: 3 }).attentionMaps(new Int32Array(0))).toThrow(/history/);
});

test('even attention has evenness 1, attention to one place 0, and its column is the strongest', () => {
  const even = [[1, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]]; // prettier-ignore
  const fixed = [[1, 0, 0], [1, 0, 0], [1, 0, 0]]; // prettier-ignore
  expect(evenness(even)).toBeCloseTo(1, 12);
  expect(evenness(fixed)).toBeCloseTo(0, 12);
  expect(strongestColumn(fixed)).toBe(1);
  expect(strongestColumn(even)).toBeCloseTo((1 + 1 / 2 + 1 / 3) / 3, 12);
});

test('bar charts and heat maps are well-formed, empty ones too, and larger values are drawn larger and darker', () => {
  for (const empty of [
    barChart([], { x: '', y: '' }),
    heatMap([]),
    barChart([{ name: '<', value: 0 }], { x: '&', y: '' }),
  ]) {
    expect(empty).not.toMatch(/NaN|Infinity/);
    expect(parseMarkup(empty).name).toBe('svg');
  }
  const bars = all(parseMarkup(barChart([{ name: 'a', value: 1 }, { name: 'b', value: 4 }], { x: 'x', y: 'y' })), 'rect'); // prettier-ignore
  expect(Number(bars[1]!.attributes.height)).toBeCloseTo(4 * Number(bars[0]!.attributes.height), 0);
  const squares = all(parseMarkup(heatMap([[0.25, 0], [1, 0.5]])), 'rect').slice(1); // prettier-ignore
  const red = squares.map(({ attributes }) => Number(/rgb\((\d+)/.exec(attributes.fill!)![1]));
  expect(red).toEqual([193, 8, 132]); // 0 is left white
});

test('figure 6 and figure 10 run on made-up histories and report in one well-formed file', async () => {
  const six = join(home, 'six');
  await runExperiment('paper-fig-6', { out: six, quick: true });
  expect(all(parseMarkup(html(six)), 'svg')).toHaveLength(2);
  offline(html(six));
  const ten = join(home, 'ten');
  const { cells, rows } = await runExperiment('paper-fig-10', { out: ten, quick: true });
  expect(cells).toBe(2);
  expect(rows).toMatchObject([{ row: 'vanilla' }, { row: 'reAttention' }]);
  expect(all(parseMarkup(html(ten)), 'svg')).toHaveLength(10); // five histories each
  offline(html(ten));
  expect(entries(ten)).toEqual(['report.html', 'results.json']);
});

test('figure 4 has a curve a model and budget, up to the last epoch', async () => {
  const out = join(home, 'four');
  const { cells, rows, text } = await runExperiment('paper-fig-4', { out, quick: true });
  expect(cells).toBe(4);
  for (const { accuracies } of rows as { accuracies: { epoch: number }[] }[]) {
    expect(accuracies.map(({ epoch }) => epoch)).toEqual([0.01, 0.02]); // two steps
  }
  expect(text).toMatch(/Re-Attention, epsilon 10/);
  const [ndcg, hit] = all(parseMarkup(html(out)), 'svg');
  for (const chart of [ndcg, hit]) expect(all(chart!, 'polyline')).toHaveLength(4);
  offline(html(out));
  expect(entries(out)).toEqual(['report.html', 'results.json']);
});

test.each([
  ['paper-fig-7', ['shared', 'apart', 'half']],
  ['paper-fig-9', ['vanilla', 'reAttention']],
])('%s has a map a model, and a cell a point', async (name, models) => {
  const out = join(home, name);
  const { cells, rows } = await runExperiment(name, { out, quick: true });
  expect(cells).toBe(models.length);
  expect(rows).toMatchObject(models.map((model) => ({ model, learningRate: 0.003, batchSize: 20 })));
  expect(all(parseMarkup(html(out)), 'svg')).toHaveLength(models.length);
  offline(html(out));
});

test('too few users for a batch, data in a quick run and seeds for a count are refused before anything is written', async () => {
  const out = join(home, 'refused');
  const file = join(home, 'few.csv');
  writeFileSync(file, `user,item,timestamp\n${[1, 2, 3, 4, 5, 6].map((k) => `u,i${k},${k}`).join('\n')}\n`);
  const refused = async (name: string, control: object, code: string): Promise<void> =>
    expect(runExperiment(name, { out, ...control })).rejects.toMatchObject({ code });
  await refused('paper-fig-8', { data: file }, 'ERR_DATA_FORMAT');
  await refused('paper-fig-10', {}, 'ERR_INVALID_ARGUMENT');
  await refused('paper-fig-10', { data: file, quick: true }, 'ERR_INVALID_ARGUMENT');
  await refused('paper-fig-6', { quick: true, seeds: 2 }, 'ERR_INVALID_ARGUMENT');
  await refused('paper-fig-6', { data: join(home, 'none.csv') }, 'ERR_DATA_FORMAT');
  expect(entries(out)).toEqual([]);
});
