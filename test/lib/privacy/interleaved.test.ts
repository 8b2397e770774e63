// Whatever calls are interleaved with training, each released step is that of its batch, every record once.

import fc from 'fast-check';

import { sgd } from '../../../lib/optim';
import { normalize, poisson, type PrivacyEngine } from '../../../lib/privacy';
import type { Tensor } from '../../../lib/tensor';
import { engineFor, histories, smallModel, weights } from './fixture';

const RECORDS = 5;
const STEPS = 2;
const CALLS = ['step', 'loop', 'other loop', 'peek', 'twice', 'foreign', 'throw', 'evaluate', 'attach again'] as const;
type Call = (typeof CALLS)[number];
type Batch = NonNullable<ReturnType<ReturnType<PrivacyEngine['batches']>['next']>['value']>;

const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return (error as { code?: string }).code ?? (error as Error).message;
  }
  return 'none';
};

/** Weights after all steps, with `calls` in between. Every record is in every batch, one physical batch a record, no noise. */
function trained(calls: readonly Call[]): number[] {
  const data = histories(RECORDS);
  const model = smallModel();
  const engine = engineFor(model, {
    records: RECORDS,
    steps: STEPS,
    noiseMultiplier: 0,
    sampler: poisson({ batchSize: RECORDS }),
    clip: normalize({ maxGradNorm: 1 }),
    performance: { memoryBudget: 1 },
  });
  const attach = (): ReturnType<typeof engine.attach> => engine.attach(sgd(model.parameters(), { lr: 0.5 }));
  let optimizer = attach();
  const loops = [engine.batches(data), engine.batches(data)];
  const lossOf = (batch: Batch): Tensor => model.loss(batch as never);
  // A loop that was passed over by another one refuses to go on, or is over: then a new one does.
  const next = (loop: number): Batch | undefined => {
    try {
      const { value } = (loops[loop] as (typeof loops)[0]).next();
      if (value !== undefined) return value;
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_BATCH_NOT_SAMPLED' });
    }
    loops[loop] = engine.batches(data);
    return loops[loop].next().value ?? undefined;
  };
  const take = (loop: number): void => {
    const batch = next(loop);
    if (batch !== undefined) optimizer.step({ loss: lossOf(batch) });
  };
  const run: Record<Call, () => void> = {
    step: () => take(0),
    loop: () => {
      loops[0] = engine.batches(data);
      take(0);
    },
    'other loop': () => take(1),
    peek: () => {
      loops[0] = engine.batches(data);
      const { value } = loops[0].next();
      loops[1] = engine.batches(data);
      expect(loops[1].next().value).toBe(value);
      if (value !== undefined) optimizer.step({ loss: lossOf(value) });
    },
    twice: () => {
      loops[0] = engine.batches(data);
      const { value } = loops[0].next();
      if (value === undefined) return;
      const loss = lossOf(value);
      optimizer.step({ loss });
      expect(code(() => optimizer.step({ loss }))).toMatch(/^ERR_/);
    },
    foreign: () => {
      const [other] = data.pack(Int32Array.of(3), { rowBudget: 100, maxLength: 6 });
      loops[0] = engine.batches(data);
      const { value } = loops[0].next();
      if (value === undefined) return;
      expect(code(() => optimizer.step({ loss: model.loss(other!) }))).toBe('ERR_BATCH_NOT_SAMPLED');
      optimizer.step({ loss: lossOf(value) });
    },
    throw: () => {
      const thrown = code(() => {
        for (const batch of engine.batches(data)) {
          lossOf(batch);
          throw new Error('own');
        }
        throw new Error('own');
      });
      expect(thrown).toBe('own');
    },
    evaluate: () => {
      model.eval();
      loops[0] = engine.batches(data);
      const { value } = loops[0].next();
      if (value !== undefined) expect(code(() => optimizer.step({ loss: lossOf(value) }))).toBe('ERR_ENGINE_STATE');
      model.train();
    },
    'attach again': () => {
      engine.detach();
      optimizer = attach();
    },
  };
  for (const call of calls) run[call]();
  for (const batch of engine.batches(data)) optimizer.step({ loss: lossOf(batch) });
  expect(engine.steps).toBe(STEPS);
  expect(engine.ledger.unprotected).toBe(STEPS);
  expect(engine.trainingStats()?.samples).toBe(RECORDS);
  engine.close();
  return weights(model);
}

test('each step is the sum over its batch, every record once, whatever is called in between', () => {
  const plain = trained([]);
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...CALLS), { minLength: 4, maxLength: 20 }), (calls) => {
      expect(trained(calls)).toEqual(plain);
    }),
    { numRuns: 12 },
  );
});
