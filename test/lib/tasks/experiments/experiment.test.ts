// Laws of an experiment: finished cells are never repeated, whatever ended it, and bad input is refused before anything is trained.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { runExperiment, type VarianceRow } from '../../../../lib/tasks/experiments';
import { entries, logFile } from '../recommender/fixture';

const home = mkdtempSync(join(tmpdir(), 'phantomgrad-experiment-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const cellsIn = (out: string): { row: string; epsilon: number; seed: number; finished: string }[] =>
  (JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as { cells: never[] }).cells;

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

test('an interrupted experiment goes on with the cells that are missing, and repeats none', async () => {
  const out = join(home, 'two');
  const controller = new AbortController();
  let begun = 0;
  const onCell = (): void => {
    begun += 1;
    if (begun === 3) controller.abort();
  };
  const first = await runExperiment('paper-table-3', { out, quick: true, signal: controller.signal, onCell });
  expect(first).toMatchObject({ interrupted: true, cells: 2, planned: 15 });
  const kept = cellsIn(out);
  expect(kept.map(({ row }) => row)).toEqual(['gru', 'lstm']);
  // Without --resume the folder is left alone.
  await expect(runExperiment('paper-table-3', { out, quick: true })).rejects.toMatchObject({ code: 'ERR_RUN_FOLDER' });
  // Another experiment does not go on with it.
  const other = runExperiment('paper-table-2', { out, quick: true, resume: true });
  await expect(other).rejects.toMatchObject({ code: 'ERR_RUN_FOLDER' });
  const run: string[] = [];
  const second = await runExperiment('paper-table-3', {
    ...{ out, quick: true, resume: true },
    onCell: (text) => run.push(text),
  });
  expect(second).toMatchObject({ interrupted: false, cells: 15, planned: 15 });
  expect(run).toHaveLength(13);
  const cells = cellsIn(out);
  expect(cells.slice(0, 2)).toEqual(kept);
  expect(new Set(cells.map(({ row, epsilon, seed }) => `${row} ${epsilon} ${seed}`)).size).toBe(15);
  for (const { privacy, epsilon } of cells as unknown as { privacy: { epsilon: number }; epsilon: number }[]) {
    expect(privacy.epsilon).toBeLessThanOrEqual(epsilon);
    expect(privacy.epsilon).toBeGreaterThan(0.9 * epsilon);
  }
  const third = await runExperiment('paper-table-3', {
    ...{ out, quick: true, resume: true },
    onCell: () => {
      throw new Error('nothing is left to run');
    },
  });
  expect(third.cells).toBe(15);
});

const refusals: [string, string, object, string, RegExp][] = [
  ['an unknown name', 'paper-table-9', { quick: true }, 'ERR_INVALID_ARGUMENT', /paper-table-9.*paper-table-1, paper/],
  ['no data', 'paper-table-2', {}, 'ERR_INVALID_ARGUMENT', /MovieLens-1M.*--data/],
  ['a missing file', 'paper-table-3', { data: join(home, 'none.txt') }, 'ERR_DATA_FORMAT', /none\.txt/],
  ['data in a quick run', 'paper-table-2', { data: logFile(), quick: true }, 'ERR_INVALID_ARGUMENT', /--data/],
  ['no seeds', 'paper-table-2', { quick: true, seeds: 0 }, 'ERR_INVALID_ARGUMENT', /seeds/],
  ['data for table 1', 'paper-table-1', { data: logFile() }, 'ERR_INVALID_ARGUMENT', /trains nothing/],
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
