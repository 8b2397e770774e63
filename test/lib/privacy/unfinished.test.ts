// Laws of logical batches that were begun and not finished: whatever happens, no record counts twice in what is released.

import { adam, sgd } from '../../../lib/optim';
import { normalize, PlainEngine, poisson, type PrivacyEngine } from '../../../lib/privacy';
import { GradientBook } from '../../../lib/privacy/gradient-book';
import { distance, engineFor, histories, optimizers, smallModel, weights } from './fixture';

// Every record is drawn, one physical batch a record, no noise: any loss or repetition shows.
const every = (): Parameters<typeof engineFor>[1] => ({
  steps: 2,
  noiseMultiplier: 0,
  sampler: poisson({ batchSize: 40 }),
  clip: normalize({ maxGradNorm: 1 }),
  performance: { memoryBudget: 1 },
});

type Model = ReturnType<typeof smallModel>;
type Batches = ReturnType<PrivacyEngine['batches']>;

/** The weights after one logical step, and the records that `disturb` left to be drawn. */
function firstStep(
  disturb: (
    engine: PrivacyEngine,
    model: Model,
    take: (from: Batches, count: number) => number[],
  ) => number[] = () => [],
): { moved: number[]; records: number[] } {
  const model = smallModel();
  const engine = engineFor(model, every());
  const optimizer = engine.attach(optimizers.sgd(model));
  const take = (from: Batches, count: number): number[] =>
    Array.from({ length: count }, () => {
      const batch = from.next().value as never as { recordIds: Int32Array };
      optimizer.step({ loss: model.loss(batch as never) });
      return batch.recordIds[0] as number;
    });
  const records = disturb(engine, model, take);
  while (engine.steps === 0) records.push(...take(engine.batches(histories()), 1));
  return { moved: weights(model), records };
}

test('a loop that was left in mid batch is continued by the next one, and no record counts twice', () => {
  const whole = firstStep((engine, _, take) => take(engine.batches(histories()), 40));
  const broken = firstStep((engine, _, take) => take(engine.batches(histories()), 5)); // then a new loop for every batch
  expect(broken.records).toEqual(whole.records);
  expect(broken.moved).toEqual(whole.moved);
});

test('two loops at once share one draw', () => {
  const { records } = firstStep((engine, _, take) => {
    const loops = [engine.batches(histories()), engine.batches(histories())] as const;
    return Array.from({ length: 38 }, (_, k) => take(loops[k % 2] as Batches, 1)[0] as number);
  });
  expect([...records].sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
});

test('a batch that was not given to step is handed out again, not drawn again', () => {
  const model = smallModel();
  const engine = engineFor(model, { ...every(), sampler: poisson({ batchSize: 10 }) });
  engine.attach(optimizers.sgd(model));
  const first = engine.batches(histories()).next().value;
  expect(engine.batches(histories()).next().value).toBe(first);
});

test('detaching in mid batch loses what was summed, and the same records come again', () => {
  const model = smallModel();
  const engine = engineFor(model, every());
  const run = (count: number): void => {
    const optimizer = engine.attach(sgd(model.parameters(), { lr: 0.5 }));
    for (const batch of engine.batches(histories())) {
      optimizer.step({ loss: model.loss(batch) });
      if (--count === 0) break;
    }
    engine.detach();
  };
  run(7);
  run(40);
  expect(engine.steps).toBe(1);
  expect(engine.trainingStats()?.samples).toBe(40);
  expect(weights(model)).toEqual(firstStep().moved);
});

test('an update that fails is paid for, and its sum never meets the next one', () => {
  const model = smallModel();
  const engine = engineFor(model, { ...every(), performance: {} });
  const optimizer = engine.attach(optimizers.sgd(model));
  const apply = optimizer.applyPrivate.bind(optimizer);
  const failing = engine.batches(histories()).next().value!;
  optimizer.applyPrivate = () => {
    throw new Error('no memory');
  };
  expect(() => optimizer.step({ loss: model.loss(failing as never) })).toThrow('no memory');
  expect(engine.ledger.unprotected).toBe(1);
  optimizer.applyPrivate = apply;
  const next = engine.batches(histories()).next().value!;
  optimizer.step({ loss: model.loss(next) });
  expect(engine.steps).toBe(1);
  expect(engine.ledger.unprotected).toBe(2); // the failed one stays paid
  expect(distance(weights(model), firstStep().moved)).toBeLessThan(1e-6);
});

test('a sum that breaks off half added is forgotten, and the logical batch starts again', () => {
  const broken = firstStep((engine, _, take) => {
    take(engine.batches(histories()), 3);
    const add = jest.spyOn(GradientBook.prototype, 'add').mockImplementationOnce(function (this: GradientBook) {
      this.sum.add_(1);
      throw new Error('no memory');
    });
    expect(() => take(engine.batches(histories()), 1)).toThrow('no memory');
    add.mockRestore();
    return [];
  });
  expect(broken).toEqual(firstStep());
});

test('an optimizer that has taken plain steps is refused before anything is drawn or paid', () => {
  const model = smallModel();
  const optimizer = adam(model.parameters(), { lr: 0.01 });
  const [batch] = histories().pack(Int32Array.of(1, 2), { rowBudget: 100, maxLength: 6 });
  model.loss(batch!).mean().backward();
  optimizer.step();
  const engine = engineFor(model);
  expect(() => engine.attach(optimizer)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  optimizer.dispose(); // starts afresh
  engine.attach(optimizer).step({ loss: model.loss(engine.batches(histories()).next().value as never) });
  expect(engine.steps).toBe(1);
});

test.each([
  [
    'a plain engine',
    (model: Model) => new PlainEngine(model, { records: 40, epochs: 1, sampler: poisson({ batchSize: 10 }) }),
  ],
  ['an engine without noise', (model: Model) => engineFor(model, { noiseMultiplier: 0 })],
])('moments of the steps of %s are not carried into private ones, neither directly nor through a state', (_, make) => {
  const model = smallModel();
  const used = adam(model.parameters(), { lr: 0.01 });
  const first = make(model);
  const attached = first.attach(used);
  attached.step({ loss: model.loss(first.batches(histories()).next().value as never) });
  first.detach();
  const copy = adam(model.parameters(), { lr: 0.01 });
  copy.loadStateDict(used.stateDict());
  const engine = engineFor(model);
  for (const optimizer of [used, copy]) {
    expect(() => engine.attach(optimizer)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringContaining('without noise') as string,
      }),
    );
  }
  expect(engine.ledger.events).toEqual([]);
  used.dispose(); // starts afresh
  engine.attach(used).step({ loss: model.loss(engine.batches(histories()).next().value as never) });
  engine.detach();
  engine.attach(used); // moments of private steps stay
  expect(used.steps).toBe(1);
});
