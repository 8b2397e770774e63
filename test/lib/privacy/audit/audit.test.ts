// Laws of the audit: an honest engine passes, and every broken one is named for what is broken.

import { SequentialTransformer } from '../../../../lib/models/sequential-transformer';
import {
  accounting,
  adaptive,
  audit,
  type AuditedMechanism,
  type AuditOptions,
  type AuditReport,
  auditText,
  type Claim,
  normalize,
  poisson,
  shuffle,
} from '../../../../lib/privacy';
import { mutants } from '../../../fixtures/audit/mutants';
import { settledMemory } from '../../../fixtures/collect';
import { histories, ITEMS } from '../fixture';

const RECORDS = 100;
const CANARIES = 1_000;
const sampler = poisson({ batchSize: (RECORDS + CANARIES) / 10 });
const STEPS = 50;
const { noiseMultiplier } = accounting.calibrateNoise({
  targetEpsilon: 2,
  targetDelta: 1e-6,
  event: (sigma) => sampler.event(sigma, RECORDS + CANARIES, STEPS),
});
const mechanism: AuditedMechanism = {
  noiseMultiplier,
  clip: normalize({ maxGradNorm: 0.5 }),
  sampler,
  steps: STEPS,
  delta: 1e-6,
};

// Wide enough that 1 % of the noise can be seen in a few hundred steps; dropout shows that keyed masks are replayed as they were.
const model = (): SequentialTransformer =>
  new SequentialTransformer({ items: ITEMS, dim: 16, blocks: 1, maxLength: 6, dropout: 0.1, seed: 3 });

function audited(options: AuditOptions = {}, change: Partial<AuditedMechanism> = {}): AuditReport {
  return audit({ model, data: histories(RECORDS) }, { ...mechanism, ...change }, { probes: 12, ...options });
}

const failed = ({ findings }: AuditReport): Claim[] => findings.filter(({ holds }) => !holds).map(({ claim }) => claim);

test('an honest engine passes: every claim holds, and what the canaries prove is not above what is claimed', () => {
  const before = settledMemory().tensors;
  const report = audited();
  expect(failed(report)).toEqual([]);
  expect(report.passed).toBe(true);
  expect(report.claimedEpsilon).toBeCloseTo(2, 1);
  expect(report.epsilonLowerBound).toBeLessThan(report.claimedEpsilon);
  expect(report.guesses.canaries).toBe(CANARIES);
  expect(auditText(report)).toContain('All claims hold.');
  expect(settledMemory().tensors).toBeLessThanOrEqual(before);
});

describe('a broken engine fails, and the cause is named', () => {
  const causes: Record<keyof typeof mutants, readonly Claim[]> = {
    'noise halved': ['noiseScale'],
    'cross term dropped': ['contributionsExact'],
    'clip skipped': ['contributionsBounded', 'contributionsExact', 'epsilon'],
    'records shuffled, charged as Poisson': ['batchSizes', 'inclusion'],
    'one parameter without noise': ['noiseEverywhere', 'epsilon'],
  };

  test.each(Object.keys(causes) as (keyof typeof mutants)[])('%s', (name) => {
    const report = audited({ engine: mutants[name] });
    expect(report.passed).toBe(false);
    expect(failed(report)).toEqual(expect.arrayContaining([...causes[name]]));
    expect(auditText(report)).toContain('FAILS');
  });
});

test('what it cannot audit is refused: no noise, a moving threshold, other samplers, too few canaries, unknown options', () => {
  const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }) as Error;
  expect(() => audited({}, { noiseMultiplier: 0 })).toThrow(refused);
  expect(() => audited({}, { clip: adaptive({ maxGradNorm: 1 }) })).toThrow(refused);
  expect(() => audited({}, { sampler: shuffle({ batchSize: 100 }) as never })).toThrow(refused);
  expect(() => audited({ canaries: 999 })).toThrow(refused);
  expect(() => audited({ seed: 1 } as never)).toThrow(refused);
});
