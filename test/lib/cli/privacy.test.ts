// The privacy command agrees with the library and needs no native code.

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
