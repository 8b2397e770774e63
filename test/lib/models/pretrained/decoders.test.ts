// Decoder families against Python's transformers: logits, losses, per-sample norms, and files that go there and back.

import { type TokenBatch, tokenBatch } from '../../../../lib/data';
import { CausalLM, DoubleHeads, fromPretrained, SequenceClassifier, type TaskModels } from '../../../../lib/models';
import { noGrad, setNumThreads, type Tensor, tidy } from '../../../../lib/tensor';
import { CASES, expectedOf, folderOf } from './fixtures';
import { expectNear, expectNorms, expectSameWhenSaved, flat, numbers } from './truth';

// Models this small lose more to waiting for a second thread than they gain.
beforeAll(() => setNumThreads(1));

type Model = TaskModels[keyof TaskModels];

function lossOf(model: Model, batch: TokenBatch): Tensor {
  if (model instanceof CausalLM || model instanceof SequenceClassifier) return model.loss(batch);
  throw new Error('features have no loss');
}

describe.each(CASES)('%s', (name, task) => {
  const truth = expectedOf(name);
  const batch = tokenBatch(truth.examples);

  test.each([
    ['float32', 1e-4],
    ['float64', 1e-9],
  ] as const)('logits and losses are those of transformers in %s', async (dtype, tolerance) => {
    const model = (await fromPretrained(folderOf(name), { task, dtype })).eval() as CausalLM | SequenceClassifier;
    tidy(() =>
      noGrad(() => {
        expectNear(numbers(model.logits(batch)), flat(truth.logits), tolerance);
        expectNear(numbers(lossOf(model, batch)), truth.losses, tolerance);
        if (model instanceof DoubleHeads)
          expectNear(numbers(model.choiceLogits(batch)), flat(truth.choiceLogits), tolerance);
      }),
    );
    model.dispose();
  });

  test('per-sample norms are those of autograd one example at a time, over all parameters and each', async () => {
    const model = (await fromPretrained(folderOf(name), { task, dtype: 'float64' })).eval();
    expectNorms(model, () => lossOf(model, batch), truth.norms, { tied: 1 });
    model.dispose();
  });

  test('what is saved is loaded again bit by bit, under the names of the original', () =>
    expectSameWhenSaved(name, task));
});
