// Laws of the ledger: what is charged stays charged, also on the way through JSON.

import { abadi, Ledger } from '../../../lib/privacy';
import { pld } from '../../../lib/privacy/accounting/pld';
import { engineFor, histories, optimizers, smallModel } from './fixture';

test('a run without noise leaves an infinite epsilon in the ledger, also after it was stored', () => {
  const model = smallModel();
  const engine = engineFor(model, { noiseMultiplier: 0, clip: abadi({ maxGradNorm: 1 }), steps: 2 });
  const optimizer = engine.attach(optimizers.sgd(model));
  expect(engine.privacySpent().epsilon).toBe(0);
  for (const batch of engine.batches(histories())) optimizer.step({ loss: model.loss(batch) });
  expect(engine.privacySpent().epsilon).toBe(Infinity);
  const stored = Ledger.fromJSON(JSON.parse(JSON.stringify(engine.ledger)));
  expect(stored.unprotected).toBe(2);
  expect(stored.insecureSeed).toBe(11);
  expect(stored.epsilon(1e-5, pld())).toBe(Infinity);
});

test('equal events are merged, and a stored ledger equals itself', () => {
  const ledger = new Ledger();
  const event = { kind: 'gaussian', noiseMultiplier: 2, count: 1 } as const;
  for (let k = 0; k < 3; k++) ledger.charge(event);
  expect(ledger.events).toEqual([{ ...event, count: 3 }]);
  expect(ledger.toJSON()).toEqual({ version: 1, events: ledger.events });
  expect(Ledger.fromJSON(ledger.toJSON()).events).toEqual(ledger.events);
  for (const broken of [null, {}, { version: 2, events: [] }, { version: 1, events: [], unprotected: -1 }]) {
    expect(() => Ledger.fromJSON(broken as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  }
});

test.each([
  { kind: 'shuffledGaussian', stepsPerEpoch: 6, noiseMultiplier: 2, count: 3, neighbours: 'zeroOut' },
  { kind: 'ballsAndBinsGaussian', bins: 6, noiseMultiplier: 2, count: 3 },
] as const)('a pass that another run has begun is not finished by this one: $kind', (half) => {
  const earlier = new Ledger();
  for (let k = 0; k < half.count; k++) earlier.charge({ ...half, count: 1 });
  expect(earlier.events).toEqual([half]); // steps of one run
  const added = new Ledger();
  added.add(earlier.toJSON());
  for (const ledger of [added, Ledger.fromJSON(JSON.parse(JSON.stringify(earlier)))]) {
    for (let k = 0; k < half.count; k++) ledger.charge({ ...half, count: 1 });
    expect(ledger.events).toEqual([half, half]);
    expect(ledger.charged(half)).toBe(6);
    expect(ledger.epsilon(1e-6, pld())).toBe(pld().epsilon([{ ...half, count: 12 }], 1e-6));
    expect(ledger.epsilon(1e-6, pld())).toBeGreaterThan(1.2 * earlier.epsilon(1e-6, pld()));
  }
});
