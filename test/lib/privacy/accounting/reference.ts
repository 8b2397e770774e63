// The numbers of reference.json: computed with 40 digits by test/fixtures/accounting/reference.py, definitions only.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Reference {
  readonly special: readonly {
    readonly x: number;
    readonly erfcx: string;
    readonly erfc: string;
    readonly logPhi: string;
    readonly logPhiMinus: string;
  }[];
  readonly moments: readonly {
    readonly q: number;
    readonly sigma: number;
    readonly re: number;
    readonly im: number;
    readonly value: readonly [string, string];
  }[];
  readonly twoSteps: readonly {
    readonly events: readonly (readonly [number, number])[];
    readonly epsilon: number;
    readonly remove: string;
    readonly add: string;
  }[];
}

export const reference = JSON.parse(
  readFileSync(join(__dirname, '../../../fixtures/accounting/reference.json'), 'utf8'),
) as Reference;

/** Fails unless `own` is within `tolerance` of `truth`, relative to it. */
export function expectRelative(own: number, truth: number, tolerance: number): void {
  expect(Math.abs(own - truth)).toBeLessThanOrEqual(tolerance * Math.abs(truth));
}
