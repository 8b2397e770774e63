// Laws of an experiment: finished cells are never repeated, whatever ended it, and bad input is refused before anything is trained.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { RunEvent } from '../../../../lib/tasks';
import { type Cell, type Results, runExperiment, type VarianceRow } from '../../../../lib/tasks/experiments';
import { lossCurve } from '../../../../lib/tasks/run/curve';
import { entries, logFile } from '../recommender/fixture';

const home = mkdtempSync(join(tmpdir(), 'phantomgrad-experiment-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const cellsIn = (out: string): readonly Cell[] =>
  (JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Results).cells;

test('table 1: the formula agrees with a million samples and, for ReLU, with the paper', async () => {
  const out = join(home, 'one');
  const { rows, text } = await runExperiment('paper-table-1', { out });
  const table = rows as readonly VarianceRow[];
  expect(table).toHaveLength(6);
  for (const { ours, samples, activation, analytic } of table) {
    // Standard error of a variance of a million samples: below 0.2 %.
    expect(Math.abs(samples.at(-1)! / ours - 1)).toBeLessThan(0.008);
    if (activation === 'relu') expect(Math.abs(ours / Number(analytic) - 1)).toBeLessThan(0.005);
  }
  expect(text).toContain('0.34085');
  expect(entries(out)).toEqual(['report.html', 'results.json']);
});

/** A quick table 3 that is stopped in its third cell. */
async function threeCells(out: string, resume: boolean): Promise<{ cells: number; begun: string[]; from: number[] }> {
  const controller = new AbortController();
  const begun: string[] = [];
  const from: number[] = [];
  const onEvent = (event: RunEvent): void => {
    if (event.kind === 'resumed') from.push(event.step);
  };
  const onCell = (text: string): void => {
    if (begun.push(text) === 3) controller.abort();
  };
  const control = { out, quick: true, resume, signal: controller.signal, onCell, onEvent };
  const { cells, planned, interrupted } = await runExperiment('paper-table-3', control);
  expect({ planned, interrupted }).toEqual({ planned: 21, interrupted: true });
  return { cells, begun, from };
}

test('an interrupted experiment goes on with the cells that are missing, and repeats none', async () => {
  const out = join(home, 'two');
  expect((await threeCells(out, false)).cells).toBe(2);
  const kept = cellsIn(out);
  expect(kept.map(({ row }) => row)).toEqual(['gru', 'lstm']);
  // Without resume the folder is left alone; another experiment does not go on with it.
  const again = runExperiment('paper-table-3', { out, quick: true });
  await expect(again).rejects.toMatchObject({ code: 'ERR_RUN_FOLDER' });
  const other = runExperiment('paper-table-2', { out, quick: true, resume: true });
  await expect(other).rejects.toMatchObject({ code: 'ERR_RUN_FOLDER' });
  expect(entries(join(out, 'cells'))).toEqual(['untied-epsilon-5-seed-0']);
  const { cells, begun, from } = await threeCells(out, true);
  expect(cells).toBe(4);
  expect(from).toEqual([1]); // the cell that was interrupted after one of its two steps goes on there
  expect(entries(join(out, 'cells'))).toEqual(['reAttention-epsilon-5-seed-0']);
  expect(begun[0]).toMatch(/^Cell 3 of 21: Transformer w\/o sharing/);
  expect(cellsIn(out).slice(0, 2)).toEqual(kept);
  expect(cellsIn(out).map(({ row }) => row)).toEqual(['gru', 'lstm', 'untied', 'vanilla']);
  for (const { privacy, epsilon } of cellsIn(out)) {
    expect(privacy.epsilon).toBeLessThanOrEqual(epsilon);
    expect(privacy.epsilon).toBeGreaterThan(0.9 * epsilon);
    expect(privacy).toMatchObject({ steps: 2, lostSteps: 0 });
  }
});

test('cells of a table are not mixed with those that are measured for choosing settings', async () => {
  const out = join(home, 'validation');
  const control = { out, quick: true, rows: ['vanilla'], epsilons: [8] };
  const { text } = await runExperiment('paper-table-2', { ...control, validation: true });
  expect(text).toContain('the item before the last');
  const other = runExperiment('paper-table-2', { ...control, resume: true });
  await expect(other).rejects.toMatchObject({ code: 'ERR_RUN_FOLDER', message: expect.stringContaining('now it would be') as string }); // prettier-ignore
});

test('rows and budgets that were chosen are the ones that run', async () => {
  const control = { out: join(home, 'chosen'), quick: true, rows: ['reAttention', 'vanilla'], epsilons: [8] };
  const { planned, rows } = await runExperiment('paper-table-2', control);
  expect(planned).toBe(2);
  const run = (rows as readonly { row: string; epsilon: number; seeds: number }[]).filter(({ seeds }) => seeds > 0);
  expect(run).toMatchObject([{ row: 'vanilla', epsilon: 8 }, { row: 'reAttention', epsilon: 8 }]); // prettier-ignore
});

test('the curve of a run that lost steps and went on holds every step once', () => {
  const log = join(home, 'metrics.jsonl');
  const step = (k: number, loss: number | null, role = 'private'): object => ({
    ...{ event: 'step', role, step: k, steps: 4, epoch: k / 2, samples: 3, loss },
  });
  const lines = [{ event: 'run' }, step(1, 9), step(2, 100), { event: 'resumed', step: 1 }, step(2, 7), step(3, null)];
  const texts = [...lines, step(4, 5), step(1, 1, 'plain')].map((line) => JSON.stringify(line));
  writeFileSync(log, `${texts.join('\n')}\n{"event":"st`);
  // Step 3 had no finite loss: its samples do not count.
  expect(lossCurve(log)).toEqual([
    [0.5, 9],
    [1, 7],
    [2, 5],
  ]);
});

const refusals: [string, string, object, string, RegExp][] = [
  ['an unknown name', 'paper-table-9', { quick: true }, 'ERR_INVALID_ARGUMENT', /paper-table-9.*paper-table-1, paper/],
  ['no data', 'paper-table-2', {}, 'ERR_INVALID_ARGUMENT', /MovieLens-1M.*--data/],
  ['a missing file', 'paper-table-3', { data: join(home, 'none.txt') }, 'ERR_DATA_FORMAT', /none\.txt/],
  ['data in a quick run', 'paper-table-2', { data: logFile(), quick: true }, 'ERR_INVALID_ARGUMENT', /--data/],
  ['no seeds', 'paper-table-2', { quick: true, seeds: 0 }, 'ERR_INVALID_ARGUMENT', /seeds/],
  ['data for table 1', 'paper-table-1', { data: logFile() }, 'ERR_INVALID_ARGUMENT', /trains nothing/],
  ['an unknown row', 'paper-table-2', { quick: true, rows: ['gpt'] }, 'ERR_INVALID_ARGUMENT', /gpt.*vanilla/],
  ['no rows', 'paper-table-2', { quick: true, rows: [] }, 'ERR_INVALID_ARGUMENT', /row/],
  ['another budget', 'paper-table-2', { quick: true, epsilons: [3] }, 'ERR_INVALID_ARGUMENT', /5, 8, 10/],
  ['rows of another table', 'ideas', { quick: true, rows: ['gru'] }, 'ERR_INVALID_ARGUMENT', /gru.*bias/],
  ['no jobs', 'paper-table-2', { quick: true, jobs: 0 }, 'ERR_INVALID_ARGUMENT', /jobs/],
  ['measuring side by side', 'paper-fig-8', { quick: true, jobs: 2 }, 'ERR_INVALID_ARGUMENT', /time and memory/],
  ['an unknown device', 'ideas', { quick: true, device: 'tpu' }, 'ERR_INVALID_ARGUMENT', /tpu/],
  ['a device for what trains nothing', 'paper-fig-6', { device: 'cpu' }, 'ERR_INVALID_ARGUMENT', /device/],
  ['a small variant of a table', 'paper-table-2', { small: true }, 'ERR_INVALID_ARGUMENT', /small.*ideas/],
  ['small and quick', 'ideas', { small: true, quick: true }, 'ERR_INVALID_ARGUMENT', /--quick or --small/],
  [
    'validation of a text',
    'tinyshakespeare',
    { quick: true, validation: true },
    'ERR_INVALID_ARGUMENT',
    /paper-table-2/,
  ],
  ['rows of a figure', 'paper-fig-6', { quick: true, rows: ['gru'] }, 'ERR_INVALID_ARGUMENT', /table/],
  ['resuming nothing', 'paper-table-2', { quick: true, resume: true }, 'ERR_RUN_FOLDER', /no experiment/],
];

test.each(refusals)('%s is refused and nothing is written', async (_, name, control, code, message) => {
  const out = join(home, 'refused');
  await expect(runExperiment(name, { ...control, out })).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message) as string,
  });
  expect(entries(out)).toEqual([]);
});

test('results that are damaged are refused by name', async () => {
  for (const text of ['{"cells": 3}', '{"cells"']) {
    const out = mkdtempSync(join(home, 'damaged-'));
    writeFileSync(join(out, 'results.json'), text);
    const run = runExperiment('paper-table-2', { out, quick: true, resume: true });
    await expect(run).rejects.toMatchObject({
      code: 'ERR_RUN_FOLDER',
      message: expect.stringContaining('results.json') as string,
    });
  }
});
