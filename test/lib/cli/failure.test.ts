// How commands fail: a line with a code on standard error, nothing on standard output, nothing written, and the exit code.

import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Command } from 'commander';

import { program } from '../../../lib/cli/main';
import { home, phantomgrad } from './command';

jest.setTimeout(300_000); // processes of their own, on a machine that may be busy

writeFileSync(join(home, 'bad.csv'), 'user,item,timestamp\na,b,1\na,c\n');
writeFileSync(join(home, 'unknown.json'), '{ "epsilom": 8 }');
writeFileSync(join(home, 'wrong.json'), '{ "epochs": true }');
writeFileSync(join(home, 'epsilon.json'), '{ "epsilon": -3, "quick": true }');
const before = readdirSync(home);

const bad: [string, string[], RegExp][] = [
  ['an unknown option', ['train', 'recommender', '--quik'], /\[ERR_INVALID_ARGUMENT\].*--quik[^]*--quick/],
  ['an unknown command', ['trian'], /\[ERR_INVALID_ARGUMENT\].*trian[^]*train/],
  ['text for a number', ['train', 'recommender', '--epochs', 'many'], /--epochs.*"many"/],
  ['an epsilon of zero', ['train', 'recommender', '--epsilon', '0'], /\[ERR_INVALID_ARGUMENT\].*epsilon.*above 0/],
  ['a delta of one', ['train', 'recommender', '--delta', '1'], /\[ERR_INVALID_ARGUMENT\].*delta/],
  ['a missing file', ['train', 'recommender', '--data', 'none.csv'], /\[ERR_DATA_FORMAT\].*none\.csv/],
  ['a broken file', ['train', 'recommender', '--data', 'bad.csv'], /\[ERR_DATA_FORMAT\].*bad\.csv:3/],
  ['data and synthetic data', ['train', 'recommender', '--data', 'bad.csv', '--synthetic'], /--data and --synthetic/],
  [
    'an option that a config file misspells',
    ['train', 'recommender', '--config', 'unknown.json'],
    /"epsilom".*epsilon/,
  ],
  ['a value of the wrong type in a config file', ['train', 'recommender', '--config', 'wrong.json'], /epochs/],
  ['a bad value in a config file', ['train', 'recommender', '--config', 'epsilon.json'], /epsilon.*-3/],
  ['a config file that is missing', ['train', 'recommender', '--config', 'none.json'], /none\.json/],
  ['a history with a hole', ['recommend', 'model', '--history', '1,,2'], /--history/],
  ['no history', ['recommend', 'model'], /--history/],
];

test.each(bad)('%s exits 2 with one line that has a code, and writes nothing', async (_, args, message) => {
  const { code, stdout, stderr } = await phantomgrad(args);
  expect(stderr).toMatch(message);
  expect(stderr).toMatch(/^phantomgrad: \[ERR_\w+\] /);
  expect([code, stdout]).toEqual([2, '']);
  expect(readdirSync(home)).toEqual(before);
});

test('the command line wins over a config file', async () => {
  const { code, stderr } = await phantomgrad(['train', 'recommender', '--config', 'epsilon.json', '--epsilon', '0']);
  expect([code, stderr]).toEqual([2, expect.stringContaining('got 0')]);
});

test('without LibTorch training exits 1 with the places that were tried, and accounting works', async () => {
  const env = { LIBTORCH: join(home, 'nothing'), HOME: home, XDG_CACHE_HOME: home, PATH: '' };
  const failed = await phantomgrad(['train', 'recommender', '--quick'], { env });
  expect(failed).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/\[ERR_LIBTORCH_NOT_FOUND\].*\n.*LIBTORCH/),
  });
  const args = '--sampling-rate 0.01 --noise-multiplier 1 --steps 100 --delta 1e-6'.split(' ');
  expect((await phantomgrad(['privacy', 'epsilon', ...args, '--json'], { env })).code).toBe(0);
});

const commands = [
  '',
  'train',
  'train recommender',
  'evaluate',
  'recommend',
  'privacy',
  'privacy epsilon',
  'privacy sigma',
];

test.each([...commands, 'setup', 'doctor'])('«phantomgrad %s --help» exits 0 and shows examples', async (command) => {
  const { code, stdout } = await phantomgrad([...command.split(' ').filter(Boolean), '--help']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/Examples:\n {2}\$ phantomgrad/);
});

/** Every command that can be run, with the words that call it. */
function leaves(command: Command, words: string): [string, Command][] {
  if (command.commands.length === 0) return [[words, command]];
  return command.commands.flatMap((inner) => leaves(inner, `${words} ${inner.name()}`.trim()));
}

test.each(leaves(program(), ''))(
  '«phantomgrad %s --help» offers nothing that the command refuses or that says nothing',
  (words, command) => {
    const help = command.helpInformation();
    expect(help).not.toMatch(/refused|\[\]/);
    if (words === 'privacy steps') expect(help).not.toMatch(/--steps|--epochs/);
    if (words === 'privacy epsilon') expect(help).not.toContain('--epsilon');
    if (words === 'privacy sigma') expect(help).not.toContain('--noise-multiplier');
  },
);

test('what help does not offer is still refused with the reason', async () => {
  const plan = '--sampling-rate 0.01 --noise-multiplier 1 --delta 1e-6 --epsilon 8 --steps 9'.split(' ');
  expect(await phantomgrad(['privacy', 'steps', ...plan])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/ERR_INVALID_ARGUMENT.*leave --steps and --epochs out/),
  });
  expect(await phantomgrad(['privacy', 'epsilon', ...plan])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/ERR_PRIVACY_TARGET.*contradict/),
  });
  expect(await phantomgrad(['generate', 'model'])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/ERR_INVALID_ARGUMENT.*--prompt/),
  });
});
