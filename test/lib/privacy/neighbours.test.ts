// Plans with other samplers and neighbours: each trains, is charged what it was planned for, and says so.

import {
  accounting,
  ballsAndBins,
  fixedSize,
  frequencies,
  poisson,
  privacyStatement,
  type Sampler,
  shuffle,
  truncatedPoisson,
} from '../../../lib/privacy';
import { engineFor, histories, optimizers, smallModel } from './fixture';

const PLANS: readonly (readonly [Sampler, accounting.Neighbours, RegExp])[] = [
  [poisson({ batchSize: 10 }), 'replace', /replacing one user by another/],
  [poisson({ batchSize: 10 }), 'zeroOut', /leaving out the contribution of one user/],
  [truncatedPoisson({ batchSize: 10, maxBatchSize: 25 }), 'addRemove', /adding or removing one user/],
  [fixedSize({ batchSize: 10 }), 'replace', /replacing one user/],
  [ballsAndBins({ batchSize: 10 }), 'addRemove', /ballsAndBins sampling/],
  [shuffle({ batchSize: 10 }), 'zeroOut', /no amplification/],
];

test.each(PLANS.map((plan) => [plan[0].kind, plan[1], plan] as const))(
  '%s batches with neighbours %s keep the target that they were planned for',
  (kind, neighbours, [sampler]) => {
    const model = smallModel();
    const target = { epsilon: 3, delta: 1e-5 };
    const { noiseMultiplier } = engineFor(model, {
      sampler,
      neighbours,
      target,
      noiseMultiplier: undefined,
    } as never).plan;
    const engine = engineFor(model, { sampler, neighbours, noiseMultiplier, delta: 1e-5 });
    const optimizer = engine.attach(optimizers.sgd(model));
    let steps = 0;
    for (const batch of engine.batches(histories())) {
      optimizer.step({ loss: model.loss(batch) });
      steps += batch.completesStep ? 1 : 0;
    }
    expect(steps).toBe(4);
    const planned = accounting.pld().epsilon([sampler.event(noiseMultiplier, 40, 4, neighbours)], 1e-5);
    const { epsilon } = engine.privacySpent();
    expect(planned).toBeLessThanOrEqual(3);
    expect(epsilon).toBe(planned);
    const statement = privacyStatement(engine, { unit: 'one user' });
    expect(statement).toMatchObject({ neighbours, epsilon, sampling: { kind, rate: 0.25 } });
  },
);

test.each(PLANS.map((plan) => [plan[0].kind, plan[1], plan] as const))(
  'the statement of %s batches with neighbours %s says what that means',
  (_kind, neighbours, [sampler, , words]) => {
    const model = smallModel();
    const engine = engineFor(model, { sampler, neighbours, insecureSeed: undefined } as never);
    const optimizer = engine.attach(optimizers.sgd(model));
    for (const batch of engine.batches(histories())) optimizer.step({ loss: model.loss(batch) });
    expect(privacyStatement(engine, { unit: 'one user' }).text).toMatch(words);
  },
);

test('a pair of sampler and neighbours without sound accounting is refused before anything is attached', () => {
  const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }) as Error;
  for (const [sampler, neighbours] of [
    [fixedSize({ batchSize: 10 }), 'addRemove'],
    [shuffle({ batchSize: 10 }), 'addRemove'],
    [ballsAndBins({ batchSize: 10 }), 'replace'],
    [poisson({ batchSize: 10 }), 'swap'],
  ] as const) {
    expect(() => engineFor(smallModel(), { sampler, neighbours: neighbours as 'replace' })).toThrow(refused);
  }
});

test('without a word about neighbours a plan takes what the sampler has sound accounting for', () => {
  expect(engineFor(smallModel(), { sampler: poisson({ batchSize: 10 }) }).plan.neighbours).toBe('addRemove');
  expect(engineFor(smallModel(), { sampler: fixedSize({ batchSize: 10 }) }).plan.neighbours).toBe('replace');
  expect(engineFor(smallModel(), { sampler: shuffle({ batchSize: 10 }) }).plan.neighbours).toBe('zeroOut');
});

test('the same noise is worth less where a record may be replaced', () => {
  const spent = (neighbours: 'addRemove' | 'replace'): number =>
    accounting.pld().epsilon([poisson({ batchSize: 10 }).event(2, 400, 100, neighbours)], 1e-5);
  expect(spent('replace')).toBeGreaterThan(1.3 * spent('addRemove'));
});

test.each([ballsAndBins({ batchSize: 10 }), shuffle({ batchSize: 10 }), fixedSize({ batchSize: 10 })])(
  'a batch that the engine did not draw is refused: $kind',
  (sampler) => {
    const model = smallModel();
    const optimizer = engineFor(model, { sampler }).attach(optimizers.sgd(model));
    const foreign = histories().pack(Int32Array.from([1, 2, 3]), { rowBudget: 1000 })[0]!;
    expect(() => optimizer.step({ loss: model.loss(foreign) })).toThrow(
      expect.objectContaining({ code: 'ERR_BATCH_NOT_SAMPLED' }),
    );
  },
);

test('what the accountant cannot state after training is refused before it', () => {
  const refused = expect.objectContaining({ code: 'ERR_ACCOUNTING' }) as Error;
  const sampler = ballsAndBins({ batchSize: 10 });
  expect(() => engineFor(smallModel(), { sampler, accountant: accounting.rdp() })).toThrow(refused);
  expect(() => engineFor(smallModel(), { neighbours: 'replace', accountant: accounting.exact() })).toThrow(refused);
  const model = smallModel({ reAttention: true });
  expect(() => engineFor(model, { sampler, frequencies: frequencies.privateHistogram() })).toThrow(refused);
  expect(engineFor(model, { neighbours: 'replace', frequencies: frequencies.privateHistogram() }).plan.neighbours).toBe(
    'replace',
  );
});
