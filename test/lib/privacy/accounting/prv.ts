// What the interval of the PRV accountant promises, row by row of the vectors: for the quick test, and for the one over all rows.

import type { Bounds } from '../../../../lib/privacy/accounting';
import { runChild } from '../../../fixtures/child';

interface Row {
  name: string;
  truth: { delta: number; exact_remove: number | null; exact_add: number | null };
  remove: Bounds;
  add: Bounds;
  rdp: number;
  at: { eps: number; exact_remove: number | null; exact_add: number | null } | null;
  delta: { remove: Bounds; add: Bounds } | null;
}

export interface Computed {
  poisson: Row[];
  compositions: { truth: { exact: number }; own: Bounds; reversed: Bounds; rdp: number }[];
}

/** Every `stride`-th row, computed in plain Node. */
export async function computePrv(stride: number): Promise<Computed> {
  const { code, stdout, stderr } = await runChild('accounting/prv.cjs', [String(stride)]);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Computed;
}

/** The truth lies in the interval, and the estimate within `near` of it, relative. */
export function expectInside(own: Bounds, truth: number, tolerance: number, near: number): void {
  expect(own.lower).toBeLessThanOrEqual(truth + tolerance);
  expect(own.upper).toBeGreaterThanOrEqual(truth - tolerance);
  expect(Math.abs(own.estimate - truth)).toBeLessThanOrEqual(near * Math.max(truth, 1e-3) + tolerance);
}

export function expectRows(rows: readonly Row[]): number {
  let checked = 0;
  for (const { truth, remove, add, rdp, at, delta } of rows) {
    for (const direction of ['remove', 'add'] as const) {
      const exact = truth[`exact_${direction}`];
      const own = { remove, add }[direction];
      if (exact === null || exact < 0) continue;
      checked += 1;
      expectInside(own, exact, 1e-7 * Math.max(1, exact), 1e-4);
      expect(own.upper).toBeLessThanOrEqual(rdp * (1 + 1e-9) + 1e-12);
      // Rare participations keep the interval wide: 2 % of ε is the widest.
      expect(own.upper).toBeLessThanOrEqual(exact * 1.012 + 1e-4);
      const exactDelta = at?.[`exact_${direction}`];
      if (!delta || typeof exactDelta !== 'number' || exactDelta < 1e-14) continue;
      expectInside(delta[direction], exactDelta, 1e-6 * exactDelta, 1e-2);
      expect(delta[direction].upper).toBeLessThanOrEqual(exactDelta * 1.1);
    }
  }
  return checked;
}
