// A run that was stopped and goes on: same folder, same promise, nothing released without being paid for.

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import {
  Recommender,
  trainRecommender,
  type RecommenderOptions,
  type RunControl,
  type RunEvent,
} from '../../../../lib/tasks';
import { readCheckpoint } from '../../../../lib/privacy';
import { entries, logFile, path, small } from './fixture';

jest.setTimeout(300_000);

const data = logFile();
const files = ['config.json', 'metrics.jsonl', 'model.safetensors', 'privacy.json', 'report.html'];
const statement = (out: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path(out, 'privacy.json'), 'utf8')) as Record<string, unknown>;

/** Trains in `out` up to `steps`, then stops it as Ctrl-C does. */
function stopAt(steps: number, out: string, options: RecommenderOptions = small(data), control: RunControl = {}) {
  const stop = new AbortController();
  return trainRecommender(options, {
    out: path(out),
    signal: stop.signal,
    onEvent: (event) => event.kind === 'step' && event.step >= steps && stop.abort(),
    ...control,
  });
}

/** Takes the newest saved state away, as a crash before it was written would have. */
function loseNewest(out: string): void {
  const states = entries(path(out, 'checkpoint')).filter((name) => name.startsWith('state'));
  rmSync(path(out, 'checkpoint', states.at(-1) as string), { recursive: true });
}

test('a run that was stopped goes on with nothing but its folder, and ends as an uninterrupted one', async () => {
  const whole = await trainRecommender(small(data), { out: path('whole') });
  await stopAt(2, 'parts', { ...small(data), dropout: 0.3 });
  const events: string[] = [];
  const report = await trainRecommender(
    {},
    { out: path('parts'), resume: true, onEvent: (event) => events.push(JSON.stringify(event)) },
  );
  expect(events).toContainEqual(JSON.stringify({ kind: 'resumed', step: 2, steps: 6, lostSteps: 0 }));
  expect(report.interrupted).toBe(false);
  expect(report.privacy).toEqual(whole.privacy); // 6 steps, none lost, the same ε
  expect(report.rows.map(({ name }) => name)).toEqual(['private', 'popularity', 'markov']);
  expect(entries(path('parts'))).toEqual(files);
  expect(statement('parts')).toMatchObject({ steps: 6, lostSteps: 0, ledger: statement('whole').ledger });
  const config = JSON.parse(readFileSync(path('parts', 'config.json'), 'utf8')) as { model: { dropout: number } };
  expect(config.model.dropout).toBe(0.3);
  const recommender = await Recommender.load(path('parts'));
  expect(await recommender.evaluate(data)).toEqual(report.rows);
  recommender.dispose();
});

test('the metrics log goes on, also after a line that was cut off', async () => {
  await stopAt(2, 'log');
  writeFileSync(path('log', 'metrics.jsonl'), `${readFileSync(path('log', 'metrics.jsonl'), 'utf8')}{"event":"st`);
  await trainRecommender({}, { out: path('log'), resume: true });
  const lines = readFileSync(path('log', 'metrics.jsonl'), 'utf8').trimEnd().split('\n');
  const whole = lines.filter((line) => line !== '{"event":"st');
  expect(whole).toHaveLength(lines.length - 1);
  const steps = whole.map((line) => JSON.parse(line) as { event: string; step?: number });
  expect(steps.filter(({ event }) => event === 'step').map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(steps.filter(({ event }) => event === 'resumed')).toEqual([{ event: 'resumed', step: 2, lostSteps: 0 }]);
});

test('steps that a crash lost are spent: reported, in the statement, and the run ends at the budget', async () => {
  await stopAt(3, 'crashed', small(data), { checkpointEvery: 2 });
  // The state of step 3 is gone with the crash; the ledger is not.
  const { steps, ledger } = readCheckpoint(path('crashed', 'checkpoint'));
  expect([steps, ledger.events.at(-1)?.count]).toEqual([3, 3]);
  loseNewest('crashed');
  const report = await trainRecommender({}, { out: path('crashed'), resume: true });
  expect(report.privacy).toMatchObject({ steps: 5, lostSteps: 1 });
  expect(report.interrupted).toBe(false);
  expect(report.privacy.epsilon).toBeLessThanOrEqual(5);
  expect(statement('crashed')).toMatchObject({ steps: 5, plannedSteps: 6, lostSteps: 1 });
  expect(statement('crashed').text).toContain('1 more was paid for and lost');
});

test('recoverySteps: the same crash, and all planned steps within ε', async () => {
  const options = { ...small(data), recoverySteps: 2 };
  await stopAt(3, 'recovered', options, { checkpointEvery: 2 });
  loseNewest('recovered');
  const report = await trainRecommender({}, { out: path('recovered'), resume: true });
  expect(report.privacy).toMatchObject({ steps: 6, lostSteps: 1 });
  expect(report.privacy.epsilon).toBeLessThanOrEqual(5);
});

test('how often a run saves and measures is remembered too, and what is said when it goes on counts from there', async () => {
  const accuracies = (): number[] =>
    readFileSync(path('paced', 'metrics.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('"ndcgAt10"') && line.includes('"step"'))
      .map((line) => (JSON.parse(line) as { step: number }).step);
  const saved = (): string | undefined =>
    entries(path('paced', 'checkpoint'))
      .filter((name) => name.startsWith('state'))
      .at(-1);
  await stopAt(1, 'paced', small(data), { checkpointEvery: 4, evaluateEvery: 1 / 3 });
  expect(saved()).toBe('state-000003'); // the first, the histogram, the end
  await stopAt(3, 'paced', {}, { resume: true });
  expect(accuracies()).toEqual([1, 2, 3]);
  expect(saved()).toBe('state-000004'); // the end: by default it would be one a step
  await trainRecommender({}, { out: path('paced'), resume: true, evaluateEvery: 1 });
  expect(accuracies()).toEqual([1, 2, 3, 6]);
});

test('auto begins where nothing waits, and goes on where something does', async () => {
  await stopAt(2, 'auto', small(data), { resume: 'auto' });
  const report = await trainRecommender(small(data), { out: path('auto'), resume: 'auto' });
  expect(report.privacy.steps).toBe(6);
  expect(entries(path('auto'))).toEqual(files);
});

test('a run that ended while it ranked is ranked again, not trained again', async () => {
  const failing = trainRecommender(small(data), {
    out: path('ranked'),
    onEvent: ({ kind }) => {
      if (kind === 'evaluation') throw new Error('the machine went away');
    },
  });
  await expect(failing).rejects.toThrow('went away');
  const steps: number[] = [];
  const onEvent = (event: RunEvent): void => {
    if (event.kind === 'step') steps.push(event.step);
  };
  const report = await trainRecommender(small(data), { out: path('ranked'), resume: 'auto', onEvent });
  expect(steps).toEqual([]);
  expect(report.privacy).toMatchObject({ steps: 6, lostSteps: 0 });
  expect(report.rows.map(({ name }) => name)).toEqual(['private', 'popularity', 'markov']);
  expect(entries(path('ranked'))).toEqual(files);
});

test('auto begins again where a run was killed before its first saved state, and leaves every other folder alone', async () => {
  mkdirSync(path('unbegun', 'checkpoint.part'), { recursive: true });
  writeFileSync(path('unbegun', 'metrics.jsonl'), '{}');
  writeFileSync(path('unbegun', 'mine.txt'), 'mine');
  const attempt = (): Promise<unknown> => trainRecommender(small(data), { out: path('unbegun'), resume: 'auto' });
  await expect(attempt()).rejects.toMatchObject({ code: 'ERR_RUN_FOLDER' });
  expect(entries(path('unbegun'))).toEqual(['checkpoint.part', 'metrics.jsonl', 'mine.txt']);
  rmSync(path('unbegun', 'mine.txt'));
  await attempt();
  expect(entries(path('unbegun'))).toEqual(files);
});

describe('refused', () => {
  beforeAll(() => stopAt(2, 'waiting'));
  const waiting = (): string => {
    cpSync(path('waiting'), path('copy'), { recursive: true, force: true });
    return path('copy');
  };

  test.each<[string, RecommenderOptions, RegExp]>([
    ['another width', { dim: 4 }, /dim: 8 in the checkpoint, 4 now/],
    ['another ε', { epsilon: 4 }, /configuration\.options\.epsilon: 5 .* 4 now/],
    ['another batch size', { batchSize: 10 }, /plan\.sampler\.batchSize: 20 .* 10 now/],
    ['another learning rate', { learningRate: 1 }, /configuration\.learningRate/],
    ['another δ', { delta: 1e-4 }, /plan\.delta/],
  ])('%s, with both values', async (_, options, message) => {
    const out = waiting();
    const before = entries(out);
    await expect(trainRecommender(options, { out, resume: true })).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT_MISMATCH',
      message: expect.stringMatching(message),
    });
    expect(entries(out)).toEqual(before);
    expect(readCheckpoint(path('copy', 'checkpoint')).steps).toBe(2);
  });

  test('data with one action more, and data with another name for an item', async () => {
    const text = readFileSync(data, 'utf8');
    writeFileSync(path('more.csv'), `${text}u3,i1,2000\n`);
    writeFileSync(path('names.csv'), text.replaceAll(',i7,', ',seven,'));
    const attempt = (file: string): Promise<unknown> =>
      trainRecommender({ data: path(file) }, { out: waiting(), resume: true });
    const mismatch = (message: RegExp): object => ({
      code: 'ERR_CHECKPOINT_MISMATCH',
      message: expect.stringMatching(message),
    });
    await expect(attempt('more.csv')).rejects.toMatchObject(mismatch(/\n {2}data: "/));
    await expect(attempt('names.csv')).rejects.toMatchObject(mismatch(/configuration\.itemIds/));
  });

  test('a finished run, a folder that is not there, and a run without a folder', async () => {
    const missing = { code: 'ERR_CHECKPOINT_NOT_FOUND' };
    await expect(trainRecommender({}, { out: path('whole'), resume: true })).rejects.toMatchObject(missing);
    await expect(trainRecommender({}, { out: path('nowhere'), resume: true })).rejects.toMatchObject(missing);
    await expect(trainRecommender({}, { resume: true })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    await expect(trainRecommender(small(data), { out: waiting() })).rejects.toMatchObject({ code: 'ERR_RUN_FOLDER' });
  });
});
