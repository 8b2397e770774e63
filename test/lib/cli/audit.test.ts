// `phantomgrad audit` as a process: a run passes; a statement that promises more than was paid for fails, and is named.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { home, lastJson, phantomgrad } from './command';

jest.setTimeout(300_000); // processes of their own, on a machine that may be busy

const rows = ['user,item,timestamp'];
for (let user = 0; user < 60; user++) {
  for (let k = 0; k < 6; k++) rows.push(`u${user},i${1 + ((user + k) % 20)},${1000 + k}`);
}
writeFileSync(join(home, 'log.csv'), `${rows.join('\n')}\n`);

beforeAll(async () => {
  const tiny = ['--data', 'log.csv', '--batch-size', '6', '--dim', '8', '--blocks', '1', '--delta', '1e-3'];
  const trained = await phantomgrad(['train', 'recommender', ...tiny, '--epochs', '1', '--out', 'model']);
  expect(trained.code).toBe(0);
});

test('an honest run: exit 0, and one JSON object with every claim', async () => {
  const ended = await phantomgrad(['audit', 'model', '--data', 'log.csv', '--steps', '20', '--json']);
  expect(ended.stderr).toContain('All claims hold.');
  expect(ended.code).toBe(0);
  expect(ended.stdout.trimEnd().split('\n')).toHaveLength(1);
  const report = lastJson(ended);
  expect(report).toMatchObject({ passed: true, steps: 20, confidence: 0.95, delta: 1e-3 });
  expect(report['epsilonLowerBound']).toBeLessThan(report['claimedEpsilon'] as number);
  expect((report['findings'] as { claim: string }[]).map(({ claim }) => claim)).toEqual(
    expect.arrayContaining([
      'contributionsBounded',
      'noiseEverywhere',
      'histogramCharged',
      'inclusion',
      'epsilon',
      'statement',
    ]),
  );
});

interface Stated {
  readonly ledger: { readonly events: readonly { readonly kind: string }[] };
}

test.each<[string, (statement: Stated) => object, RegExp]>([
  ['that promises too small an epsilon', () => ({ epsilon: 0.5 }), /FAILS\s+statement .* too small/],
  [
    'whose ledger lacks the histogram that it names',
    ({ ledger }) => ({ ledger: { ...ledger, events: ledger.events.filter(({ kind }) => kind !== 'gaussian') } }),
    /FAILS\s+statement .* has not been charged/,
  ],
])('a statement %s: exit 1, naming it', async (_what, change, cause) => {
  const path = join(home, 'model', 'privacy.json');
  const text = readFileSync(path, 'utf8');
  const statement = JSON.parse(text) as Stated;
  writeFileSync(path, JSON.stringify({ ...statement, ...change(statement) }));
  const ended = await phantomgrad(['audit', 'model', '--data', 'log.csv', '--steps', '5']);
  writeFileSync(path, text);
  expect(ended.code).toBe(1);
  expect(ended.stdout).toMatch(cause);
  expect(ended.stderr).toMatch(/phantomgrad: \[ERR_AUDIT\] audit: statement: /);
});

test("a folder without a run, data without a run, and data that are not the run's: exit 2", async () => {
  writeFileSync(join(home, 'short.csv'), `${rows.slice(0, 181).join('\n')}\n`);
  const wrong = await Promise.all([
    phantomgrad(['audit', 'nowhere', '--data', 'log.csv']),
    phantomgrad(['audit', '--data', 'log.csv']),
    phantomgrad(['audit', 'model']),
    phantomgrad(['audit', 'model', '--data', 'short.csv']),
  ]);
  expect(wrong.map(({ code }) => code)).toEqual([2, 2, 2, 2]);
  expect(wrong[0]?.stderr).toContain('[ERR_RUN_FOLDER]');
  expect(wrong[3]?.stderr).toMatch(/trained on 60 records, the data has 30/);
});
