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
      ...['epsilon', 'delta', 'noiseMultiplier', 'steps', 'hitAt10', 'ndcgAt10'],
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
