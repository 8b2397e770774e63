// The recommender's commands as processes: train, evaluate, recommend, Ctrl-C.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { home, lastJson, phantomgrad } from './command';

jest.setTimeout(300_000); // processes of their own, on a machine that may be busy

const rows = ['user,item,timestamp'];
for (let user = 0; user < 60; user++) {
  for (let k = 0; k < 6; k++) rows.push(`u${user},i${1 + ((user + k) % 20)},${1000 + k}`);
}
writeFileSync(join(home, 'log.csv'), `${rows.join('\n')}\n`);
const tiny = ['--data', 'log.csv', '--batch-size', '20', '--dim', '8', '--blocks', '1', '--delta', '1e-3'];
const train = (...args: string[]): string[] => ['train', 'recommender', ...tiny, ...args];

test('train ends with one JSON object whose names are a promise, and progress stays on standard error', async () => {
  const ended = await phantomgrad(train('--epochs', '2', '--epsilon', '5', '--out', 'model', '--json'));
  expect(ended.stderr).toMatch(/Step 1 of 6/);
  expect(ended.code).toBe(0);
  expect(ended.stdout.trimEnd().split('\n')).toHaveLength(1);
  const json = lastJson(ended);
  expect(Object.keys(json)).toEqual(
    expect.arrayContaining([
      ...['epsilon', 'delta', 'noiseMultiplier', 'steps', 'lostSteps', 'hitAt10', 'ndcgAt10'],
      ...['popularityHitAt10', 'markovHitAt10', 'secondsPerEpoch', 'peakRssMb'],
    ]),
  );
  expect(json).toMatchObject({ delta: 1e-3, steps: 6, markovHitAt10: 1, out: 'model' });
  expect(json.epsilon).toBeLessThanOrEqual(5);
  expect(json.peakRssMb).toBeGreaterThan(50);
  expect(readdirSync(join(home, 'model')).sort()).toEqual([
    'config.json',
    'metrics.jsonl',
    'model.safetensors',
    'privacy.json',
    'report.html',
  ]);
});

test('without --json standard output is a table and the privacy spent', async () => {
  const { code, stdout } = await phantomgrad(train('--epochs', '1', '--include-seen'));
  expect(code).toBe(0);
  for (const text of ['private Transformer', 'popularity', 'first-order Markov', 'incl. seen', 'Privacy spent']) {
    expect(stdout).toContain(text);
  }
  expect(readdirSync(join(home, 'runs'))).toEqual([expect.stringMatching(/^recommender-\d{8}-\d{6}$/)]);
});

test('a trained model evaluates and recommends; a folder without one is refused', async () => {
  const evaluated = await phantomgrad(['evaluate', 'model', '--data', 'log.csv', '--json']);
  expect(lastJson(evaluated)).toMatchObject({ markovHitAt10: 1, hitAt10: expect.any(Number) });
  const recommended = await phantomgrad(['recommend', 'model', '--history', 'i1,i2', '--top', '3', '--json']);
  expect(lastJson(recommended).recommendations).toHaveLength(3);
  const plain = await phantomgrad(['recommend', 'model', '--history', 'i1']);
  expect(plain.stdout.trimEnd().split('\n')).toHaveLength(12); // header, rule, ten items
  const refused = await phantomgrad(['recommend', 'nothing', '--history', '1']);
  expect(refused).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringMatching(/^phantomgrad: \[ERR_RUN_FOLDER\] nothing/),
  });
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s ends after the step at hand, saves, and exits %i', async (signal, code) => {
  const out = `stopped-${signal}`;
  let sent = false;
  const ended = await phantomgrad(train('--epochs', '200', '--out', out, '--json'), {
    onError: (child, stderr) => {
      if (sent || !stderr.includes('Step 1 of')) return;
      sent = true;
      child.kill(signal);
    },
  });
  expect(ended.code).toBe(code);
  expect(ended.stderr).toContain('Interrupted');
  const json = lastJson(ended);
  expect(json).toMatchObject({ interrupted: true, out });
  expect(json.steps).toBeGreaterThan(0);
  expect(json.steps).toBeLessThan(600);
  expect(JSON.parse(readFileSync(join(home, out, 'privacy.json'), 'utf8'))).toMatchObject({ epsilon: json.epsilon });
  const recommended = await phantomgrad(['recommend', out, '--history', 'i1', '--top', '1', '--json']);
  expect(lastJson(recommended).recommendations).toHaveLength(1);
});

test('a run that was interrupted goes on with --resume, and ends with the run folder and the fields of any other', async () => {
  let sent = false;
  const stopped = await phantomgrad(train('--epochs', '3', '--out', 'parts', '--json', '--checkpoint-every', '2'), {
    onError: (child, stderr) => {
      if (sent || !stderr.includes('Step 1 of')) return;
      sent = true;
      child.kill('SIGINT');
    },
  });
  expect(stopped.code).toBe(130);
  expect(stopped.stderr).toContain('--resume parts');
  expect(readdirSync(join(home, 'parts'))).toContain('checkpoint');
  const refused = await phantomgrad(['train', 'recommender', '--resume', 'parts', '--dim', '4']);
  expect(refused).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/\[ERR_CHECKPOINT_MISMATCH\][^]*dim: 8 in the checkpoint, 4 now/),
  });
  const ended = await phantomgrad(['train', 'recommender', '--resume', 'parts', '--json']);
  expect(ended.stderr).toMatch(/Resumed after step \d of 9/);
  expect(ended.code).toBe(0);
  expect(lastJson(ended)).toMatchObject({ steps: 9, lostSteps: 0, out: 'parts', markovHitAt10: 1 });
  expect(readdirSync(join(home, 'parts')).sort()).toEqual([
    'config.json',
    'metrics.jsonl',
    'model.safetensors',
    'privacy.json',
    'report.html',
  ]);
  const again = await phantomgrad(['train', 'recommender', '--resume', 'parts']);
  expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining('[ERR_CHECKPOINT_NOT_FOUND] parts') });
});

test('--resume auto finds the newest run that waits, also after a kill, and charges what was lost', async () => {
  let sent = false;
  const killed = await phantomgrad(train('--epochs', '60', '--checkpoint-every', '3'), {
    onError: (child, stderr) => {
      if (sent || !stderr.includes('Step 1 of')) return;
      sent = true;
      setTimeout(() => child.kill('SIGKILL'), 300);
    },
  });
  expect(killed.code).toBeNull();
  const ended = await phantomgrad(['train', 'recommender', '--resume', 'auto', '--json']);
  expect(ended.code).toBe(0);
  const { steps, lostSteps, out } = lastJson(ended) as { steps: number; lostSteps: number; out: string };
  expect(out).toMatch(/^runs.recommender-/);
  expect(steps + lostSteps).toBe(180);
  expect(lostSteps).toBeGreaterThanOrEqual(0);
  expect(lostSteps).toBeLessThanOrEqual(3);
});
