// What an engine asks of the first steps: proof that samples do not mix, and a use of every parameter.

import { external } from '../../../lib/privacy';
import { noGrad, type Tensor } from '../../../lib/tensor';
import { engineFor, histories, optimizers, smallModel, weights } from './fixture';

function steps(options: Parameters<typeof engineFor>[1] = {}) {
  const model = smallModel();
  const engine = engineFor(model, { sampler: external({ batchSize: 4 }), ...options });
  const optimizer = engine.attach(optimizers.sgd(model));
  const step = (ids: readonly number[], change: (loss: Tensor) => Tensor): void => {
    const [batch] = histories().pack(Int32Array.from(ids), { rowBudget: 100, maxLength: 6 });
    optimizer.step({ loss: change(model.loss(batch!)) });
  };
  return { model, engine, step };
}

const apart = (loss: Tensor): Tensor => loss;
const mixed = (loss: Tensor): Tensor => loss.sub(loss.mean());
const refusal = (code: string) => expect.objectContaining({ code });

test('a first step with one sample proves nothing: the attribution check waits for two', () => {
  const { engine, step } = steps();
  step([3], mixed); // alone, its loss is its own
  expect(() => step([3, 4, 5], mixed)).toThrow(refusal('ERR_SAMPLES_MIXED'));
  expect(engine.steps).toBe(1);
});

test('the check is not repeated after it has held, and can be switched off', () => {
  const { engine, step } = steps();
  step([3, 4], apart);
  step([3, 4], mixed);
  expect(engine.steps).toBe(2);
  steps({ attributionCheck: false }).step([3, 4], mixed);
});

test('losses without a graph do not train on noise alone: the first step names a parameter and pays nothing', () => {
  const { model, engine, step } = steps();
  const before = weights(model);
  expect(() => step([3, 4], (loss) => noGrad(() => loss.detach()))).toThrow(refusal('ERR_PARAMETER_UNUSED'));
  expect(engine.ledger.events).toEqual([]);
  expect(weights(model)).toEqual(before);
  step([3, 4], apart);
  expect(engine.steps).toBe(1);
});
