// The statement says what the ledger says, and what it leaves out.

import { abadi, adaptive, type Clip, normalize, perLayer, privacyStatement, psac } from '../../../lib/privacy';
import { engineFor, histories, optimizers, smallModel } from './fixture';

function trained(options: Parameters<typeof engineFor>[1] = {}): ReturnType<typeof engineFor> {
  const model = smallModel();
  const engine = engineFor(model, options);
  const optimizer = engine.attach(optimizers.adam(model));
  for (const batch of engine.batches(histories())) optimizer.step({ loss: model.loss(batch) });
  return engine;
}

test('numbers are those of the plan and the ledger', () => {
  const engine = trained();
  const s = privacyStatement(engine, { unit: 'one user', notCovered: ['the catalogue'] });
  expect(s.epsilon).toBe(engine.privacySpent().epsilon);
  expect(s.exactEpsilon).not.toBeNull();
  expect(s.epsilon).toBeGreaterThanOrEqual(s.exactEpsilon! - 1e-7);
  expect(s).toMatchObject({ steps: 4, plannedSteps: 4, noiseMultiplier: 1, sampling: { kind: 'poisson', rate: 0.25 } });
  expect(s.notCovered).toContain('the catalogue');
  expect(() => privacyStatement(engine, { unit: 'one user', uncovered: ['the catalogue'] } as never)).toThrow(
    'uncovered',
  );
  expect(JSON.parse(JSON.stringify(s))).toMatchObject({ ledger: { version: 1 }, unit: 'one user' });
});

test('a repeatable run says that it gives no privacy', () => {
  const s = privacyStatement(trained({ insecureSeed: 4 }), { unit: 'one user' });
  expect(s.insecure).toBe(true);
  expect(s.text).toMatch(/no privacy/);
});

test('a fixed threshold is one release a step, by rule and constants', () => {
  const s = privacyStatement(trained({ clip: psac({ maxGradNorm: 2, r: 0.3 }) }), { unit: 'one user' });
  expect(s.clipping).toEqual({
    kind: 'psac',
    maxGradNorm: 2,
    slack: 2 ** -10,
    settings: { r: 0.3 },
    groups: null,
    scales: null,
    gradientNoiseMultiplier: 1,
    moving: null,
  });
});

test('groups are listed with their thresholds, which make up C', () => {
  const { clipping } = privacyStatement(trained({ clip: abadi({ maxGradNorm: 2, groups: perLayer() }) }), {
    unit: 'one user',
  });
  expect(clipping.groups?.kind).toBe('perLayer');
  expect(Object.keys(clipping.groups!.maxGradNorm)).toContain('positions');
  expect(Math.hypot(...Object.values(clipping.groups!.maxGradNorm))).toBeCloseTo(2, 12);
});

test('a moving threshold is a second release, and the statement has the noise of both', () => {
  const engine = trained({ clip: adaptive({ maxGradNorm: 2, countNoise: 1 }) });
  const s = privacyStatement(engine, { unit: 'one user' });
  expect(s.noiseMultiplier).toBe(1);
  expect(s.ledger.events).toEqual([{ kind: 'poissonGaussian', samplingRate: 0.25, noiseMultiplier: 1, count: 4 }]);
  const { gradientNoiseMultiplier, moving } = s.clipping;
  expect(moving).toMatchObject({ countNoise: 1, lastMaxGradNorm: engine.clip.maxGradNorm });
  expect(gradientNoiseMultiplier ** -2 + (2 * moving!.countNoise) ** -2).toBeCloseTo(1, 12);
  expect(JSON.parse(JSON.stringify(s.clipping))).toEqual(s.clipping);
});

test('the text names both releases of a moving threshold, and the groups', () => {
  const say = (clip: Clip): string => {
    const engine = trained({ clip });
    jest.spyOn(engine.ledger, 'insecureSeed', 'get').mockReturnValue(undefined); // a seeded run has no other text
    return privacyStatement(engine, { unit: 'one user' }).text;
  };
  expect(say(normalize({ maxGradNorm: 1, groups: perLayer() }))).toMatch(/\d+ groups of parameters apart: perLayer/);
  const text = say(adaptive({ maxGradNorm: 2, countNoise: 1 }));
  expect(text).toContain('two releases a step');
  expect(text).toContain('noise of standard deviation 1.000');
  expect(text).toContain('noise multiplier 1.1547');
});
