// The two directions of a bound: the smaller one may stay blunt, and that never shows in what is stated.

import fc from 'fast-check';

import {
  type DpEvent,
  fixedSizeGaussian,
  pld,
  poissonGaussian,
  truncatedPoissonGaussian,
} from '../../../../lib/privacy/accounting';
import { composition } from '../../../../lib/privacy/accounting/composition';
import { pldEpsilon, pldLogDelta } from '../../../../lib/privacy/accounting/pld';

const log = (low: number, high: number): fc.Arbitrary<number> =>
  fc.double({ min: Math.log(low), max: Math.log(high), noNaN: true }).map(Math.exp);

const setting = fc.record({
  kind: fc.constantFrom('poisson', 'truncated', 'group'),
  rate: log(1e-3, 0.5),
  sigma: log(0.6, 5),
  steps: log(1, 300).map(Math.floor),
  delta: log(1e-10, 1e-4),
});

test('what the larger direction covers is computed no more sharply, and the larger of both stays what it is', () => {
  fc.assert(
    fc.property(setting, ({ kind, rate, sigma, steps, delta }) => {
      const cut = {
        samplingRate: rate,
        records: 1000,
        maxBatchSize: Math.min(999, Math.ceil(1000 * rate + 150 * rate ** 0.5)),
      };
      const event: DpEvent =
        kind === 'truncated' ? truncatedPoissonGaussian(cut, sigma, steps) : poissonGaussian(rate, sigma, steps);
      const groupSize = kind === 'group' ? 3 : 1;
      const composed = composition([event], { groupSize });
      const both = (['remove', 'add'] as const).map((direction) => pldEpsilon(composed, direction, Math.log(delta)));
      const epsilon = pld({ groupSize }).epsilon([event], delta);
      expect(epsilon).toBe(Math.max(...both));
      if (kind !== 'poisson') return; // another pair's δ may lie beyond doubles in the direction that hardly counts
      const logs = (['remove', 'add'] as const).map((direction) => pldLogDelta(composed, direction, epsilon));
      expect(pld().delta([event], epsilon)).toBe(Math.exp(Math.max(...logs)));
    }),
    { numRuns: 5 },
  );
});

test('rare batches of a fixed size: epsilon is finite and falls with the noise', () => {
  const noise = [1, 1.3, 1.74, 1.75, 2];
  const spent = noise.map((sigma) => pld().epsilon([fixedSizeGaussian(1.83e-5, sigma, 3810)], 8.5e-12));
  spent.slice(1).forEach((epsilon, k) => expect(epsilon).toBeLessThan(spent[k] as number));
  expect(spent.at(-1)).toBeGreaterThan(0);
});
