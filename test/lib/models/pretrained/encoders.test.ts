// Encoder families against Python's transformers: logits, losses, per-sample norms, and files that go there and back.

import { tokenBatch, type TokenExample } from '../../../../lib/data';
import { fromPretrained } from '../../../../lib/models';
import { noGrad, tidy } from '../../../../lib/tensor';
import { ENCODERS } from './encoder-cases';
import { expectedOf, folderOf } from './fixtures';
import { expectNear, expectNorms, expectSameWhenSaved, flat, numbers } from './truth';

describe.each(ENCODERS)('%s', (name, task) => {
  const truth = expectedOf(name);
  const batch = tokenBatch(truth.examples);

  test.each([
    ['float32', 1e-4],
    ['float64', 1e-9],
  ] as const)('logits and losses are those of transformers in %s', async (dtype, tolerance) => {
    const model = (await fromPretrained(folderOf(name), { task, dtype })).eval();
    tidy(() =>
      noGrad(() => {
        expectNear(numbers(model.logits(batch)), flat(truth.logits), tolerance);
        expectNear(numbers(model.loss(batch)), truth.losses, tolerance);
      }),
    );
    model.dispose();
  });

  test('per-sample norms are those of autograd one example at a time, over all parameters and each', async () => {
    const model = (await fromPretrained(folderOf(name), { task, dtype: 'float64' })).eval();
    expectNorms(model, () => model.loss(batch), truth.norms);
    model.dispose();
  });

  test('what is saved is loaded again bit by bit, under the names of the original', () =>
    expectSameWhenSaved(name, task));

  test('one example more in the batch, or another order, changes no loss', async () => {
    const model = (await fromPretrained(folderOf(name), { task, dtype: 'float64' })).eval();
    const reversed = [...truth.examples].reverse() as TokenExample[];
    tidy(() => noGrad(() => expectNear(numbers(model.loss(tokenBatch(reversed))).reverse(), truth.losses, 1e-12)));
    model.dispose();
  });
});
