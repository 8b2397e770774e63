// Laws of the language-model experiment: three models on the same blocks, an interrupted one goes on, counts are a yardstick.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { SequenceDataset } from '../../../../lib/data';
import type { RunEvent } from '../../../../lib/tasks';
import { runExperiment } from '../../../../lib/tasks/experiments';
import type { TextResults } from '../../../../lib/tasks/experiments/text/results';
import { countedBits } from '../../../../lib/tasks/experiments/text/yardsticks';
import { entries } from '../recommender/fixture';
import { all, parseMarkup } from './markup';

const home = mkdtempSync(join(tmpdir(), 'phantomgrad-text-experiment-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
jest.setTimeout(120_000);

test('a quick run that is stopped goes on at its step, and ends with three models within their budget', async () => {
  const out = join(home, 'quick');
  const stop = new AbortController();
  const first = await runExperiment('tinyshakespeare', {
    ...{ out, quick: true, signal: stop.signal },
    onEvent: (event) => event.kind === 'step' && event.step === 2 && stop.abort(),
  });
  expect(first).toMatchObject({ cells: 0, planned: 3, interrupted: true });
  const events: RunEvent[] = [];
  const onEvent = (event: RunEvent): void => void events.push(event);
  const { text, ...outcome } = await runExperiment('tinyshakespeare', { out, quick: true, resume: true, onEvent });
  expect(outcome).toMatchObject({ cells: 3, planned: 3, interrupted: false });
  expect(events.find(({ kind }) => kind === 'resumed')).toMatchObject({ step: 2, lostSteps: 0 });
  expect(entries(out)).toEqual(['report.html', 'results.json']);
  const { cells, data, settings } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as TextResults;
  expect(cells.map(({ row }) => row)).toEqual(['private', 'reAttention', 'plain']);
  for (const { row, privacy, validationLoss, samples, losses } of cells) {
    expect(validationLoss).toBeGreaterThan(1);
    expect(validationLoss).toBeLessThan(Math.log(96) + 0.3); // no worse than knowing nothing
    expect(samples[0]).toHaveLength(settings.samples.length);
    expect(losses.length).toBeGreaterThanOrEqual(6);
    if (row === 'plain') expect(privacy).toBeNull();
    else expect(privacy!.epsilon / settings.epsilon).toBeGreaterThan(0.95);
    if (privacy !== null) expect(privacy.epsilon).toBeLessThanOrEqual(settings.epsilon);
  }
  expect(text).toContain(`one block of ${data.blockLength} characters`);
  const report = parseMarkup(readFileSync(join(out, 'report.html'), 'utf8'));
  expect(all(report, 'pre').map((pre) => pre.text)).toEqual(cells.map(({ samples }) => samples[0]));
  expect(all(report, 'polyline')).toHaveLength(3);
});

test('counts give the bits of the law that drew the characters', () => {
  // 1 and 2 in turn: the pair says everything, the character alone one bit.
  const turns = SequenceDataset.from(
    Array.from({ length: 400 }, () => Array.from({ length: 20 }, (_, k) => 1 + (k % 2))),
    2,
  );
  const { single, pair } = countedBits(turns, turns);
  expect(single).toBeCloseTo(1, 2);
  expect(pair).toBeLessThan(0.01);
});

test('text that is too short, and options that contradict each other, are refused before anything is written', async () => {
  const short = join(home, 'short.txt');
  writeFileSync(short, 'too short');
  const out = join(home, 'refused');
  const run = (control: object): Promise<unknown> => runExperiment('tinyshakespeare', { out, ...control });
  await expect(run({ data: short, small: true })).rejects.toMatchObject({ code: 'ERR_DATA_FORMAT' });
  await expect(run({ quick: true, small: true })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  await expect(run({ quick: true, seeds: 0 })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  const table = runExperiment('paper-table-2', { out, quick: true, small: true });
  await expect(table).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  expect(entries(out)).toEqual([]);
});
