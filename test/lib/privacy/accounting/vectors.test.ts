// Every accountant against the reference vectors, at the tolerances of their README; both directions apart.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { DpEvent } from '../../../../lib/privacy/accounting/events';
import { exact } from '../../../../lib/privacy/accounting/exact';
import { gaussianDelta, gaussianEpsilon } from '../../../../lib/privacy/accounting/gaussian';
import { pld } from '../../../../lib/privacy/accounting/pld';
import { renyiDivergence } from '../../../../lib/privacy/accounting/rdp';
import { runChild } from '../../../fixtures/child';

function load(name: string): unknown {
  return JSON.parse(readFileSync(join(__dirname, '../../../fixtures/vectors', `accounting_${name}.json`), 'utf8'));
}

const steps = (samplingRate: number, noiseMultiplier: number, count: number): DpEvent =>
  samplingRate === 1
    ? { kind: 'gaussian', noiseMultiplier, count }
    : { kind: 'poissonGaussian', samplingRate, noiseMultiplier, count };

interface EpsRow {
  delta: number;
  exact_remove: number | null;
  exact_add: number | null;
  exact: number | null;
  rdp?: number;
}
interface DeltaRow {
  eps: number;
  exact_remove: number | null;
  exact_add: number | null;
}

// An upper bound: never below the exact value beyond its own error, and close above it.
function expectUpperBound(own: number, truth: number | null, delta: number): void {
  if (truth === null || truth < 0) return;
  expect(own).toBeGreaterThanOrEqual(truth - 1e-7 * Math.max(1, truth));
  if (delta >= 1e-8) expect(own).toBeLessThanOrEqual(truth + Math.max(1e-3, 1e-3 * truth));
}

interface Computed {
  poisson: {
    name: string;
    truth: EpsRow;
    remove: number;
    add: number;
    rdp: number;
    atEpsilon?: DeltaRow;
    delta: number | null;
  }[];
  sigma: {
    row: { target_eps: number; sigma_exact: number | null };
    noiseMultiplier: number;
    epsilon: number;
    spent: number;
  }[];
  compositions: { truth: EpsRow; pld: number; reversed: number }[];
}

describe('computed in a process of their own', () => {
  let computed: Computed;
  beforeAll(async () => {
    const { code, stdout, stderr } = await runChild('accounting/vectors.cjs');
    if (code !== 0) throw new Error(stderr);
    computed = JSON.parse(stdout) as Computed;
  }, 300_000);

  test('the PLD bounds every Poisson row from above, in both directions, and closely', () => {
    expect(computed.poisson.length).toBe(120);
    for (const { truth, remove, add, atEpsilon, delta } of computed.poisson) {
      expectUpperBound(remove, truth.exact_remove, truth.delta);
      expectUpperBound(add, truth.exact_add, truth.delta);
      const exactDelta = Math.max(atEpsilon?.exact_remove ?? 0, atEpsilon?.exact_add ?? 0);
      if (delta === null || exactDelta < 1e-10) continue;
      expect(delta).toBeGreaterThanOrEqual(exactDelta * (1 - 1e-6));
      expect(delta).toBeLessThanOrEqual(exactDelta * 1.01);
    }
  });

  test('Rényi accounting is never below the truth nor above the reference', () => {
    for (const { truth, rdp: own } of computed.poisson) {
      if (truth.exact !== null) expect(own).toBeGreaterThanOrEqual(truth.exact - 1e-7 * Math.max(1, truth.exact));
      if (truth.rdp !== undefined) expect(own).toBeLessThanOrEqual(truth.rdp * (1 + 1e-6) + 1e-9);
    }
  });

  test('compositions of different mechanisms, in any order', () => {
    for (const { truth, pld: own, reversed } of computed.compositions) {
      expectUpperBound(own, truth.exact, truth.delta);
      expect(reversed).toBe(own);
    }
  });

  test('the search for sigma keeps the target and is minimal', () => {
    expect(computed.sigma.length).toBe(36);
    for (const { row, noiseMultiplier, epsilon, spent } of computed.sigma) {
      expect(epsilon).toBeLessThanOrEqual(row.target_eps);
      expect(spent).toBeLessThanOrEqual(row.target_eps);
      if (row.sigma_exact === null) continue;
      expect(noiseMultiplier).toBeGreaterThanOrEqual(row.sigma_exact - 1e-6);
      expect(noiseMultiplier).toBeLessThanOrEqual(row.sigma_exact + Math.max(3e-3, 2e-4 * row.sigma_exact));
    }
  });
});

test('the exact accountant is the exact value', () => {
  const { cases } = load('composition') as {
    cases: { events: { q: number; sigma: number; steps: number }[]; eps_for_delta: EpsRow[] }[];
  };
  for (const { events, eps_for_delta } of cases.slice(0, 4)) {
    const [{ delta, exact: truth }] = eps_for_delta as [EpsRow];
    const own = exact().epsilon(
      events.map(({ q, sigma, steps: count }) => steps(q, sigma, count)),
      delta,
    );
    expect(Math.abs(own - (truth as number))).toBeLessThanOrEqual(1e-7 * Math.max(1, truth as number));
  }
});

test('the plain Gaussian mechanism in closed form', () => {
  const { eps_cases, delta_cases } = load('gaussian_exact') as {
    eps_cases: { sigma: number; steps: number; delta: number; eps_float: number }[];
    delta_cases: { sigma: number; steps: number; eps: number; delta_float: number }[];
  };
  for (const { sigma, steps: count, delta, eps_float } of eps_cases) {
    const own = gaussianEpsilon(Math.sqrt(count) / sigma, Math.log(delta));
    expect(Math.abs(own - eps_float)).toBeLessThanOrEqual(1e-12 * Math.max(eps_float, 1e-3));
    expect(pld().epsilon([steps(1, sigma, count)], delta)).toBeCloseTo(eps_float, 8);
  }
  for (const { sigma, steps: count, eps, delta_float } of delta_cases) {
    expect(Math.abs(gaussianDelta(Math.sqrt(count) / sigma, eps) - delta_float)).toBeLessThanOrEqual(
      1e-10 * delta_float,
    );
  }
});

test('Rényi divergences of one step at integer and fractional orders', () => {
  const { integer_orders, fractional_orders, one_step } = load('rdp') as {
    integer_orders: number[];
    fractional_orders: number[];
    one_step: { q: number; sigma: number; integer_orders: (number | null)[]; fractional_orders: (number | null)[] }[];
  };
  let checked = 0;
  for (const row of one_step) {
    const event = [steps(row.q, row.sigma, 1)];
    const compare = (orders: number[], values: (number | null)[], tolerance: number): void =>
      values.forEach((value, i) => {
        if (typeof value !== 'number') return;
        checked += 1;
        expect(Math.abs(renyiDivergence(event, orders[i] as number) - value)).toBeLessThanOrEqual(tolerance * value);
      });
    compare(integer_orders, row.integer_orders, 1e-10);
    compare(fractional_orders, row.fractional_orders, 5e-6);
  }
  expect(checked).toBeGreaterThan(500);
});

describe('edges', () => {
  type Edge = {
    name: string;
    q: number;
    sigma: number | string;
    steps: number;
    delta: number;
    exact?: [number, number] | null;
    expected: string;
  };
  const { rows } = load('edges') as { rows: Edge[] };
  const number = (x: number | string): number => (x === 'inf' ? Infinity : x === 'nan' ? NaN : (x as number));

  test.each(rows.map((row) => [row.name, row] as const))('%s', (_name, row) => {
    let own: number | undefined;
    try {
      own = pld().epsilon(
        [{ kind: 'poissonGaussian', samplingRate: row.q, noiseMultiplier: number(row.sigma), count: row.steps }],
        row.delta,
      );
    } catch (error) {
      // A refusal has a code, and is allowed only where no value is asked for.
      expect((error as { code: string }).code).toMatch(/^ERR_/);
      expect(row.expected).toMatch(/error|infinity/);
      return;
    }
    expect(row.expected).not.toBe('error');
    expect(Number.isFinite(own) && own >= 0).toBe(true);
    if (row.exact) {
      const truth = Math.max(...row.exact);
      expect(own).toBeGreaterThanOrEqual(truth - 1e-7 * Math.max(1, truth));
      expect(own).toBeLessThanOrEqual(truth + 1e-3 * Math.max(1, truth));
    }
    if (/^eps = 0/.test(row.expected)) expect(own).toBeLessThan(1e-3);
  });
});
