// The audit of scales, row steps and the item histogram: honest engines pass, and each broken one is named for what is broken.

import { SequentialTransformer } from '../../../../lib/models/sequential-transformer';
import {
  type AuditedMechanism,
  type Claim,
  frequencies,
  frequencySteps,
  groupScales,
  type MakeEngine,
  normalize,
  poisson,
} from '../../../../lib/privacy';
import { auditContributions } from '../../../../lib/privacy/audit/contributions';
import type { Finding } from '../../../../lib/privacy/audit/finding';
import { auditHistogram } from '../../../../lib/privacy/audit/histogram';
import { auditNoise } from '../../../../lib/privacy/audit/noise';
import { newEngine } from '../../../../lib/privacy/audit/subject';
import { profileMutants } from '../../../fixtures/audit/mutants';
import { histories, ITEMS } from '../fixture';

const histogram = frequencies.privateHistogram();
const mechanism: AuditedMechanism = {
  noiseMultiplier: 1.5,
  clip: normalize({ maxGradNorm: 0.5 }),
  sampler: poisson({ batchSize: 10 }),
  steps: 5,
  delta: 1e-6,
  scales: groupScales([{ prefixes: ['positions', 'blocks'], scale: 0.2 }]),
  rowSteps: frequencySteps({ tables: ['items'] }),
  frequencies: histogram,
};
// An output bias shows that the model beside the engine is told the same.
const model = (): SequentialTransformer =>
  new SequentialTransformer({
    items: ITEMS,
    dim: 16,
    blocks: 1,
    maxLength: 6,
    dropout: 0.1,
    seed: 3,
    outputBias: true,
  });
const subject = { model, data: histories(100) };
const records = Int32Array.from({ length: 6 }, (_, k) => 16 * k);

const parts = {
  contributions: (engine: MakeEngine): Finding[] => auditContributions(subject, mechanism, records, engine),
  noise: (engine: MakeEngine): Finding[] => auditNoise(subject, mechanism, records, engine),
  histogram: (engine: MakeEngine): Finding[] => auditHistogram(mechanism, histogram, engine),
};
const failed = (findings: readonly Finding[]): Claim[] =>
  findings.filter(({ holds }) => !holds).map(({ claim }) => claim);

test.each(Object.keys(parts) as (keyof typeof parts)[])('an honest engine passes: %s', (part) => {
  expect(failed(parts[part](newEngine))).toEqual([]);
});

test.each<[keyof typeof profileMutants, keyof typeof parts, readonly Claim[]]>([
  ['scale applied after the norm', 'contributions', ['contributionsExact']],
  ['row step applied before the noise', 'noise', ['noiseEverywhere']],
  ['histogram not charged', 'histogram', ['histogramCharged']],
  ['histogram with half of its noise', 'histogram', ['histogramNoise']],
])('%s is found by %s', (mutant, part, claims) => {
  expect(failed(parts[part](profileMutants[mutant]))).toEqual(expect.arrayContaining([...claims]));
});
