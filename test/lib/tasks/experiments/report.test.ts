// Laws of tables and reports: cells that were not run stay empty, numbers are means over seeds, markup is well-formed.

import { page, paragraph, table } from '../../../../lib/report/html';
import { lineChart } from '../../../../lib/report/line-chart';
import { rankingExperiment } from '../../../../lib/tasks/experiments/definitions';
import { rankingReport } from '../../../../lib/tasks/experiments/ranking-report';
import type { Cell, Results } from '../../../../lib/tasks/experiments/results';
import { accuracyTable, gainLines, statistic, summarise } from '../../../../lib/tasks/experiments/summary';
import { all, parseMarkup } from './markup';

const experiment = rankingExperiment('paper-table-2');
const cell = (row: Cell['row'], seed: number, hit: number, epsilon = 8): Cell => ({
  ...{ row, epsilon, seed, finished: '2026-01-01T00:00:00.000Z', secondsPerEpoch: 1 },
  excludingSeen: { hit, ndcg: hit / 2 },
  includingSeen: { hit: hit / 4, ndcg: hit / 8 },
  privacy: { epsilon: 7.99911, delta: 1e-4, noiseMultiplier: 2, steps: 10, lostSteps: 0 },
  losses: [
    [1, 8],
    [2, 7.5],
  ],
});
const results: Results = {
  ...{ experiment: 'paper-table-2', quick: false, phantomgrad: '0.0.0', yardsticks: {} },
  data: { name: '<a & "b">', users: 6040, items: 3416, actions: 100 },
  options: { epochs: 100, delta: 1 / 6040 },
  cells: [cell('vanilla', 0, 0.1), cell('vanilla', 1, 0.12), cell('reAttention', 0, 0.13), cell('reAttention', 2, 0.5)],
};

test('a row is mean and standard deviation over its seeds, in per cent, beside the number of the paper', () => {
  const row = summarise(experiment, results).find(({ row: id, epsilon }) => id === 'vanilla' && epsilon === 8)!;
  expect(row.hit!.mean).toBeCloseTo(11, 10);
  expect(row.hit!.spread).toBeCloseTo(Math.SQRT2, 10);
  const { lines } = accuracyTable(experiment, results);
  expect(lines.find(([name, epsilon]) => name === row.name && epsilon === '8')).toEqual([
    ...['Transformer (vanilla)', '8', '8.000', '2', '11.00 ± 1.41', '5.50 ± 0.71', '2.75 ± 0.35', '1.38 ± 0.18'],
    ...['13.17 ± 0.37', '7.05 ± 0.23'],
  ]);
  expect(statistic([])).toBeNull();
});

test('cells that were not run stay empty', () => {
  const { lines } = accuracyTable(experiment, results);
  expect(lines).toHaveLength(21);
  const empty = lines.filter(([, , , seeds]) => seeds === '');
  expect(empty).toHaveLength(19);
  for (const line of empty) expect(line.slice(2, 8)).toEqual(['', '', '', '', '', '']);
});

test('the gain of Re-Attention is taken over seeds that both rows have', () => {
  expect(gainLines(experiment, results)).toEqual([
    '«Transformer, Re-Attention» minus «Transformer (vanilla)» at epsilon 8, same seeds: HIT@10 3.00, NDCG@10 1.50',
  ]);
});

test('the report is one well-formed file with the table, curves and limits, and nothing from a network', () => {
  const html = rankingReport(experiment, results);
  const root = parseMarkup(html);
  const [main] = all(root, 'table');
  expect(all(main!, 'tr')).toHaveLength(22);
  expect(all(main!, 'td').some(({ text }) => text === '11.00 ± 1.41')).toBe(true);
  const charts = all(root, 'svg');
  expect(charts).toHaveLength(1); // nothing was run at the other budgets
  const curves = all(charts[0]!, 'polyline');
  expect(curves).toHaveLength(2);
  for (const { attributes } of curves) {
    expect(
      attributes.points!.split(' ').every((pair) => pair.split(',').every((x) => Number.isFinite(Number(x)))),
    ).toBe(true);
  }
  expect(all(root, 'li').length).toBeGreaterThan(5);
  expect(html.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|<script|<link|<img|url\(/);
});

test('the report of an experiment without cells is well-formed too', () => {
  const html = rankingReport(experiment, { ...results, cells: [] });
  expect(all(parseMarkup(html), 'p').some(({ text }) => text === 'No cell has been run yet.')).toBe(true);
});

test('an experiment of ours has no columns for the paper, and more lines than colours are told apart by dashes', () => {
  const ideas = rankingExperiment('ideas');
  const { header, lines } = accuracyTable(ideas, { ...results, cells: ideas.rows.map(({ id }) => cell(id, 0, 0.1)) });
  expect(header.some((name) => name.startsWith('paper'))).toBe(false);
  expect(new Set(lines.map(({ length }) => length))).toEqual(new Set([header.length]));
  const series = ideas.rows.map(({ name }) => ({ name, points: [[0, 1]] as [number, number][] }));
  const curves = all(parseMarkup(lineChart(series, { x: 'epoch', y: 'loss' })), 'polyline');
  const looks = curves.map(({ attributes }) => `${attributes.stroke} ${attributes['stroke-dasharray'] ?? ''}`);
  expect(new Set(looks).size).toBe(ideas.rows.length);
});

test('text is escaped, and charts survive no points, one point and a flat line', () => {
  const source = page('<&>', [paragraph('"a" & <b>'), table(['<'], [['&']])]);
  expect(all(parseMarkup(source), 'p')[0]!.text).toBe('"a" & <b>');
  for (const points of [
    [],
    [[1, 2]],
    [
      [0, 3],
      [1, 3],
    ],
  ] as [number, number][][]) {
    const chart = lineChart([{ name: '<x>', points }], { x: 'epoch', y: 'loss' });
    expect(chart).not.toMatch(/NaN|Infinity/);
    expect(all(parseMarkup(chart), 'polyline')).toHaveLength(1);
  }
});

test.each(['<p>a</b>', '<p>', '<p>a & b</p>', '<p a=1>x</p>', '<a/><b/>'])('the reader itself refuses %s', (source) => {
  expect(() => parseMarkup(source)).toThrow();
});
