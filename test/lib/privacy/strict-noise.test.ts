// Laws of the strict level: whole units, stated sensitivity, noise of σC, and what it refuses.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  adaptive,
  external,
  frequencies,
  type LedgerRecord,
  normalize,
  privacyStatement,
  type PrivacyEngineOptions,
} from '../../../lib/privacy';
import { SequenceDataset } from '../../../lib/data';
import { strictGrid } from '../../../lib/privacy/strict-noise';
import { engineFor, histories, ITEMS, optimizers, smallModel, weights } from './fixture';

const clip = normalize({ maxGradNorm: 0.5 });

function run(options: Partial<PrivacyEngineOptions>, data = histories()): { moved: number[]; ledger: unknown } {
  const model = smallModel();
  const before = weights(model);
  const engine = engineFor(model, { clip, steps: 1, ...options });
  const optimizer = engine.attach(optimizers.sgd(model));
  for (const batch of engine.batches(data)) optimizer.step({ loss: model.loss(batch) });
  const moved = weights(model).map((w, i) => (((before[i] as number) - w) / 0.5) * 10); // rate 0.5, B = 10
  const ledger = engine.ledger.toJSON();
  engine.close();
  model.dispose();
  return { moved, ledger };
}

test('a strict step releases the same clipped sum as the default level: with little noise the two agree, for the same charge', () => {
  const [strict, plain] = (['strict', 'default'] as const).map((noise) => run({ noise, noiseMultiplier: 1e-4 }));
  const apart = Math.hypot(...strict!.moved.map((x, i) => x - plain!.moved[i]!));
  // Each has noise of 1e-4 C on every coordinate.
  expect(apart).toBeLessThan(2 * 1e-4 * 0.5 * Math.sqrt(2 * strict!.moved.length));
  expect(Math.hypot(...strict!.moved)).toBeGreaterThan(0.4);
  // Beside the distance from what ε is computed for.
  const distance = strict!.moved.length * 2 ** -77;
  const [event] = (plain!.ledger as LedgerRecord).events;
  expect(strict!.ledger).toEqual({ ...(plain!.ledger as LedgerRecord), events: [{ ...event, distance }] });
});

test('the noise of an empty batch has standard deviation σC, mean zero, on every coordinate', () => {
  // One history of one item: a sample without rows, which contributes nothing.
  const empty = SequenceDataset.from(
    Array.from({ length: 40 }, () => [1]),
    ITEMS,
  );
  const values = Array.from(
    { length: 30 },
    (_, k) => run({ noise: 'strict', noiseMultiplier: 2, insecureSeed: k }, empty).moved,
  ).flat();
  const std = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
  expect(Math.abs(std / (2 * 0.5) - 1)).toBeLessThan(5 / Math.sqrt(2 * values.length));
  expect(Math.abs(values.reduce((a, b) => a + b, 0))).toBeLessThan(5 * std * Math.sqrt(values.length));
  expect(values.filter((x) => x === 0)).toHaveLength(0);
});

test.each([1e-2, 0.3, 1, 20_000])(
  'units for σ = %d: a power of two, bound and noise cover the rounding of every coordinate',
  (sigma) => {
    const [C, p] = [0.7, 1e6];
    const { unit, limit, scale, addedSensitivity } = strictGrid(sigma, C, p);
    expect(Number.isInteger(Math.log2(unit))).toBe(true);
    expect(unit).toBeLessThanOrEqual(sigma * C * 2 ** -36);
    expect(unit).toBeGreaterThan(sigma * C * 2 ** -37);
    expect(limit * unit).toBeGreaterThanOrEqual(C + (Math.sqrt(p) / 2) * unit);
    expect(scale).toBeGreaterThanOrEqual(sigma * limit);
    expect(addedSensitivity).toBeCloseTo(limit * unit - C, 15);
    expect(addedSensitivity).toBeLessThan((Math.sqrt(p) / 2 + 1.001) * unit);
  },
);

test('the statement names level, unit and added sensitivity; the default level says what it does not cover', () => {
  const model = smallModel();
  const engine = engineFor(model, { noise: 'strict', steps: 1 });
  engine.attach(optimizers.sgd(model));
  const statement = privacyStatement(engine, { unit: 'one history' });
  expect(statement.noise).toEqual({ level: 'strict', grid: engine.strictGrid });
  expect(statement.notCovered.join()).not.toMatch(/rounding/);
  engine.close();
  expect(privacyStatement(engine, { unit: 'one history' }).noise.grid).toEqual(statement.noise.grid);
  const usual = privacyStatement(engineFor(smallModel()), { unit: 'one history' });
  expect(usual.noise).toEqual({ level: 'default', grid: null });
  expect(usual.notCovered.join()).toMatch(/rounding/);
});

test('a run is not continued at another level', () => {
  const folder = mkdtempSync(join(tmpdir(), 'phantomgrad-strict-'));
  const begin = (noise: 'default' | 'strict', resume: boolean): void => {
    const model = smallModel();
    const engine = engineFor(model, { noise, insecureSeed: undefined as never });
    try {
      engine.attach(optimizers.adam(model));
      engine.checkpoint(join(folder, 'run'), { data: histories(), every: 1, resume }).close();
    } finally {
      engine.close();
      model.dispose();
    }
  };
  begin('strict', false);
  begin('strict', true);
  expect(() => begin('default', true)).toThrow(
    expect.objectContaining({
      code: 'ERR_CHECKPOINT_MISMATCH',
      message: expect.stringContaining('plan.noise') as string,
    }),
  );
  rmSync(folder, { recursive: true });
});

test.each<[string, Partial<PrivacyEngineOptions>]>([
  ['no noise', { noiseMultiplier: 0 }],
  ['a moving threshold', { clip: adaptive({ maxGradNorm: 1 }) }],
  ['batches from outside', { sampler: external({ batchSize: 10 }) }],
  ['a histogram', { frequencies: frequencies.privateHistogram() }],
  ['a level that there is not', { noise: 'secure' as never }],
])('%s is refused', (_name, options) => {
  expect(() => engineFor(smallModel({ reAttention: true }), { noise: 'strict', ...options })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
  );
});

test('data that do not lay out records one by one are refused', () => {
  const all = histories();
  const side = { length: 40, pack: (ids: Int32Array, o: object) => all.pack(ids, { ...o, rowBudget: 1000 }) };
  expect(() => run({ noise: 'strict' }, side as never)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
  );
});
