// A very small ε trains, reaches what it states, and says beforehand how little signal is left.

import { normalize, poisson, PrivacyEngine, privacyStatement, signalToNoise } from '../../../lib/privacy';
import { engineFor, histories, optimizers, smallModel } from './fixture';

test('epsilon 0.1: the run ends at its last step within the target, having warned once with the expected ratio', () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const model = smallModel();
  const engine = new PrivacyEngine(model, {
    records: 40,
    steps: 4,
    target: { epsilon: 0.1, delta: 1e-5 },
    sampler: poisson({ batchSize: 10 }),
    clip: normalize({ maxGradNorm: 1 }),
  });
  const optimizer = engine.attach(optimizers.adam(model));
  for (const batch of engine.batches(histories())) optimizer.step({ loss: model.loss(batch) });
  const { epsilon, steps } = engine.privacySpent();
  expect(steps).toBe(4);
  expect(epsilon).toBeLessThanOrEqual(0.1);
  expect(epsilon).toBeGreaterThan(0.0995);
  expect(privacyStatement(engine, { unit: 'one history' }).targetEpsilon).toBe(0.1);

  const parameters = model.parameters().reduce((sum, { numel }) => sum + numel, 0);
  const { step, run } = signalToNoise(engine.plan, parameters);
  expect(step).toBeCloseTo(10 / (engine.plan.noiseMultiplier * Math.sqrt(parameters)), 12);
  expect(run).toBeCloseTo(2 * step, 12);
  const said = warn.mock.calls.map(([text]) => String(text)).filter((text) => text.includes('signal-to-noise'));
  warn.mockRestore();
  expect(said).toHaveLength(1);
  expect(said[0]).toContain(`at most ${step.toPrecision(2)} a step and ${run.toPrecision(2)} over all 4`);
  engine.close();
  model.dispose();
});

test('without noise the ratio is infinite', () => {
  expect(signalToNoise(engineFor(smallModel(), { noiseMultiplier: 0 }).plan, 100)).toEqual({
    step: Infinity,
    run: Infinity,
  });
});
