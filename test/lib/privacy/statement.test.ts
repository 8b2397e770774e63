// The statement says what the ledger says, and what it leaves out.

import { privacyStatement } from '../../../lib/privacy';
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
  expect(JSON.parse(JSON.stringify(s))).toMatchObject({ ledger: { version: 1 }, unit: 'one user' });
});

test('a repeatable run says that it gives no privacy', () => {
  const s = privacyStatement(trained({ insecureSeed: 4 }), { unit: 'one user' });
  expect(s.insecure).toBe(true);
  expect(s.text).toMatch(/no privacy/);
});
