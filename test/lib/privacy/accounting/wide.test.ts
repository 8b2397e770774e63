// Laws of all samplers' accounting, and the promise of calibration, over wide random ranges. PHANTOMGRAD_WIDE=1 takes 500 settings.

import { runChild } from '../../../fixtures/child';

const wide = process.env.PHANTOMGRAD_WIDE === '1';
const SEED = '20240707';

async function broken(task: string, cases: number): Promise<{ known: number; broken: unknown[] }> {
  const { code, stdout, stderr } = await runChild('accounting/wide.cjs', [task, String(cases), SEED]);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as { known: number; broken: unknown[] };
}

test('epsilon falls with noise, rises with steps and rate, commutes, stays below Rényi, and is never NaN, negative or infinite', async () => {
  const cases = wide ? 500 : 24;
  const result = await broken('laws', cases);
  expect(result.broken).toEqual([]);
  expect(result.known).toBeGreaterThanOrEqual(0.9 * cases); // where a double has no answer, a code says so
}, 3_600_000);

test('calibrated noise keeps its target from 0.01 to 100, and wastes little', async () => {
  const cases = wide ? 500 : 40;
  const result = await broken('calibrate', cases);
  expect(result.broken).toEqual([]);
  expect(result.known).toBe(cases);
}, 3_600_000);
