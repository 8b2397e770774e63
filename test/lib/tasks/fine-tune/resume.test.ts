// A run that was stopped goes on where it was, with its own options, and pays no step twice.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { fineTune } from '../../../../lib/tasks';
import { TASKS } from '../../../../lib/tasks/fine-tune';
import { config, entries, json, path, sentiment, SHORT, wordTokenizer } from './fixture';

jest.setTimeout(300_000);

const options = { ...SHORT, data: sentiment(), config: config('bert'), tokenizer: wordTokenizer(), lora: 2 } as const;
const PLANNED = 24; // ceil(2 * 240 / 20)

test('stopped after three steps it goes on after the third, and ends as any other run', async () => {
  const out = path('parts');
  const controller = new AbortController();
  const stopped = await fineTune('classifier', options, {
    out,
    signal: controller.signal,
    onEvent: (event) => {
      if (event.kind === 'step' && event.step === 3) controller.abort();
    },
  });
  expect(stopped).toMatchObject({ interrupted: true, rows: [], privacy: { steps: 3 } });
  expect(json(out, 'privacy.json')).toMatchObject({
    steps: 3,
    plannedSteps: PLANNED,
    epsilon: stopped.privacy.epsilon,
  });
  expect(entries(out)).toContain('checkpoint');

  const written = readFileSync(join(out, 'metrics.jsonl'), 'utf8');
  const other = fineTune('classifier', { learningRate: 1 } as never, { out, resume: true });
  await expect(other).rejects.toMatchObject({
    code: 'ERR_CHECKPOINT_MISMATCH',
    message: expect.stringContaining(`learningRate: ${TASKS.classifier.defaults.learningRate.scratch} in the`),
  });
  const elsewhere = fineTune('lm', {} as never, { out, resume: true });
  await expect(elsewhere).rejects.toMatchObject({ code: 'ERR_CHECKPOINT_MISMATCH' });
  expect(readFileSync(join(out, 'metrics.jsonl'), 'utf8')).toBe(written);

  const steps: number[] = [];
  const ended = await fineTune('classifier', {} as never, {
    out,
    resume: true,
    onEvent: (event) => event.kind === 'step' && steps.push(event.step),
  });
  expect(steps).toEqual(Array.from({ length: PLANNED - 3 }, (_, k) => k + 4));
  const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trimEnd().split('\n');
  const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
  const [stepped, measured] = [Array<string>(PLANNED - 3).fill('step'), Array<string>(2).fill('held-out')];
  expect(events).toEqual([
    'run',
    'step',
    'step',
    'step',
    'privacy',
    'run',
    'resumed',
    ...stepped,
    'privacy',
    ...measured,
  ]);
  expect(ended.privacy).toMatchObject({ steps: PLANNED, lostSteps: 0 });
  expect(ended.privacy.epsilon).toBeGreaterThan(stopped.privacy.epsilon);
  expect(ended.rows[0]).toMatchObject({ name: 'private' });
  expect(entries(out)).not.toContain('checkpoint');
  await expect(fineTune('classifier', {} as never, { out, resume: true })).rejects.toMatchObject({
    code: 'ERR_CHECKPOINT_NOT_FOUND',
  });
});
