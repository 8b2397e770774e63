// The privacy command agrees with the library and needs no native code.

import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { epsilonOf, privacyCommand } from '../../../lib/cli/privacy';
import { gaussian, pld } from '../../../lib/privacy/accounting';

function run(...args: string[]): string {
  const lines: string[] = [];
  const log = jest.spyOn(console, 'log').mockImplementation((line: unknown) => void lines.push(String(line)));
  try {
    privacyCommand().exitOverride().parse(args, { from: 'user' });
  } finally {
    log.mockRestore();
  }
  return lines.join('\n');
}

const PLAN = ['--sampling-rate', '0.01', '--steps', '1000', '--delta', '1e-5'];

const changed = (at: number, value: string): string[] => PLAN.map((word, i) => (i === at ? value : word));

test('epsilon of the README, by every accountant', () => {
  const of = (accountant: string): number =>
    (
      JSON.parse(run('epsilon', ...PLAN, '--noise-multiplier', '1', '--accountant', accountant, '--json')) as {
        epsilon: number;
      }
    ).epsilon;
  expect(of('exact')).toBeCloseTo(1.8282, 3);
  expect(of('pld')).toBeGreaterThanOrEqual(of('exact') - 1e-7);
  expect(of('rdp')).toBeGreaterThan(of('pld'));
  expect(of('prv')).toBeGreaterThan(of('exact'));
  expect(of('prv')).toBeLessThan(of('exact') * 1.002);
});

test('a rate of 1 is the plain Gaussian mechanism', () => {
  const own = epsilonOf({ samplingRate: 1, noiseMultiplier: 20, steps: 100, delta: 1e-6, accountant: 'pld' });
  expect(own).toBe(pld().epsilon([gaussian(20, 100)], 1e-6));
});

test('sigma keeps the target that it was asked for', () => {
  const { noiseMultiplier, epsilon } = JSON.parse(run('sigma', ...PLAN, '--epsilon', '2', '--json')) as Record<
    string,
    number
  >;
  expect(epsilon).toBeLessThanOrEqual(2);
  expect(
    epsilonOf({ samplingRate: 0.01, steps: 1000, delta: 1e-5, accountant: 'pld', noiseMultiplier: noiseMultiplier! }),
  ).toBeLessThanOrEqual(2);
});

test.each([
  ['a rate above 1', ['epsilon', ...changed(1, '1.5'), '--noise-multiplier', '1']],
  ['no noise', ['epsilon', ...PLAN, '--noise-multiplier', '0']],
  ['delta of 1', ['epsilon', ...changed(5, '1'), '--noise-multiplier', '1']],
  ['a target of 0', ['sigma', ...PLAN, '--epsilon', '0']],
])('refuses %s', (_name, args) => {
  expect(() => run(...args)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});

const DATA = ['--records', '6040', '--batch-size', '256', '--delta', '1e-6'];
const json = (...args: string[]): Record<string, unknown> =>
  JSON.parse(run(...args, '--json')) as Record<string, unknown>;

test('steps: the number found stays within the target', () => {
  const { steps, epsilon } = json('steps', ...DATA, '--epsilon', '3', '--noise-multiplier', '1.5');
  expect(epsilon).toBeLessThanOrEqual(3);
  expect(json('epsilon', ...DATA, '--steps', String(steps), '--noise-multiplier', '1.5').epsilon).toBe(epsilon);
  expect(() => run('steps', ...DATA, '--epsilon', '0.01', '--noise-multiplier', '0.5')).toThrow(
    expect.objectContaining({ code: 'ERR_PRIVACY_TARGET' }),
  );
});

test('curve: epsilon rises with the steps, as numbers, as text and as SVG', () => {
  const svg = join(mkdtempSync(join(tmpdir(), 'phantomgrad-curve-')), 'curve.svg');
  const args = ['curve', ...DATA, '--epochs', '2', '--noise-multiplier', '2', '--points', '5'];
  const points = json(...args, '--svg', svg).points as { steps: number; epsilon: number }[];
  expect(points.map(({ steps }) => steps)).toEqual([10, 20, 29, 39, 48]);
  points.forEach(({ epsilon }, k) => expect(epsilon).toBeGreaterThan(points[k - 1]?.epsilon ?? 0));
  expect(readFileSync(svg, 'utf8')).toMatch(/^<svg .*<polyline points="60\.0,.*<\/svg>\n$/s);
  expect(run(...args).match(/\*/g)?.length).toBe(5);
});

test('compare: the certified bound lies between the exact value and the Rényi bound', () => {
  const rows = json('compare', ...DATA, '--steps', '100', '--noise-multiplier', '2', '--max-batch-size', '360')
    .rows as {
    sampler: string;
    neighbours: string;
    accountant: string;
    epsilon: number;
  }[];
  const of = (sampler: string, neighbours: string, accountant = 'pld'): number =>
    rows.find((row) => row.sampler === sampler && row.neighbours === neighbours && row.accountant === accountant)!
      .epsilon;
  const own = of('poisson', 'addRemove');
  expect(own).toBeGreaterThanOrEqual(of('poisson', 'addRemove', 'exact') - 1e-7);
  expect(own).toBeLessThan(of('poisson', 'addRemove', 'rdp'));
  expect(of('poisson', 'addRemove', 'prv')).toBeGreaterThan(of('poisson', 'addRemove', 'exact'));
  expect(of('poisson', 'addRemove', 'prv')).toBeLessThan(own * 1.002);
  expect(of('truncatedPoisson', 'addRemove')).toBeGreaterThanOrEqual(own - 1e-4);
  for (const worse of [of('fixedSize', 'replace'), of('poisson', 'replace'), of('shuffle', 'zeroOut')]) {
    expect(worse).toBeGreaterThan(own);
  }
  expect(of('external', 'addRemove')).toBeGreaterThan(of('shuffle', 'zeroOut'));
});

test('statement: says what is promised, to whom, and what is not covered', () => {
  const { text, epsilon } = json('statement', ...DATA, '--epochs', '5', '--epsilon', '4', '--unit', 'one user');
  expect(epsilon).toBeLessThanOrEqual(4);
  expect(text).toMatch(/adding or removing one user .*118 steps of poisson sampling.*Not covered/);
});

test.each([
  [
    'noise and target at once',
    'ERR_PRIVACY_TARGET',
    ['epsilon', ...DATA, '--steps', '9', '--noise-multiplier', '1', '--epsilon', '2'],
  ],
  ['neither noise nor target', 'ERR_INVALID_ARGUMENT', ['curve', ...DATA, '--steps', '9']],
  [
    'steps and epochs at once',
    'ERR_INVALID_ARGUMENT',
    ['sigma', ...DATA, '--epsilon', '2', '--steps', '9', '--epochs', '9'],
  ],
  [
    'no records',
    'ERR_INVALID_ARGUMENT',
    ['sigma', '--records', '0', '--batch-size', '1', '--delta', '1e-6', '--epsilon', '2', '--steps', '9'],
  ],
  [
    'a batch larger than the data',
    'ERR_INVALID_ARGUMENT',
    ['sigma', '--records', '9', '--batch-size', '10', '--delta', '1e-6', '--epsilon', '2', '--steps', '9'],
  ],
  [
    'shuffling with added records',
    'ERR_INVALID_ARGUMENT',
    ['sigma', ...DATA, '--epsilon', '2', '--steps', '9', '--sampler', 'shuffle', '--neighbours', 'addRemove'],
  ],
  [
    'a cut without its sampler',
    'ERR_INVALID_ARGUMENT',
    ['sigma', ...DATA, '--epsilon', '2', '--steps', '9', '--max-batch-size', '300'],
  ],
  [
    'groups by another accountant',
    'ERR_INVALID_ARGUMENT',
    ['sigma', ...DATA, '--epsilon', '2', '--steps', '9', '--group-size', '2', '--accountant', 'rdp'],
  ],
])('%s: refused with %s', (_name, code, args) => {
  expect(() => run(...args)).toThrow(expect.objectContaining({ code }));
});

test('a delta of 1/records or more is answered with a warning that says why', () => {
  const error = jest.spyOn(console, 'error').mockImplementation(() => undefined);
  try {
    const args = ['--records', '100', '--batch-size', '10', '--steps', '5', '--noise-multiplier', '2'];
    expect(json('epsilon', ...args, '--delta', '0.01').warnings).toEqual([
      expect.stringMatching(/publishes one random record/),
    ]);
    expect(error).toHaveBeenCalledTimes(1);
    expect(json('epsilon', ...args, '--delta', '0.001').warnings).toBeUndefined();
  } finally {
    error.mockRestore();
  }
});

test.each(['epsilon', 'sigma', 'steps', 'curve', 'compare', 'statement'])(
  '%s explains itself with examples',
  (name) => {
    const command = privacyCommand().commands.find((one) => one.name() === name)!;
    let text = '';
    command.configureOutput({ writeOut: (part) => void (text += part) });
    command.outputHelp();
    expect(text).toMatch(new RegExp(`Examples:\\n  \\$ phantomgrad privacy ${name} `));
  },
);
