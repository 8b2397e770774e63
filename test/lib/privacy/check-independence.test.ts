// The independence check sees every way to mix samples, also through detached values, and lets honest models pass.

import { data, models, privacy, tensor, type Tensor } from '../../../lib';

const { checkIndependence } = privacy;
const x = tensor([
  [1, 2],
  [0.5, -1],
  [3, 1],
]);

interface Rows {
  readonly x: Tensor;
}
const model = (loss: (rows: Tensor) => Tensor): { loss(batch: Rows): Tensor } => ({ loss: (batch) => loss(batch.x) });

test('a model of ours passes, in training and in evaluation', () => {
  const sequences = [
    [1, 2, 3, 2, 1],
    [4, 5],
    [5, 1, 2, 6, 7, 3, 1],
    [2, 3, 6],
  ].map((items) => Int32Array.from(items));
  const batch = data.SequenceDataset.from(sequences, 8).pack(Int32Array.of(0, 1, 2, 3), { rowBudget: 1000 })[0]!;
  const own = new models.SequentialTransformer({ items: 8, dim: 8, blocks: 1, maxLength: 8, dropout: 0.2 });
  checkIndependence(own, { ...batch, step: 3 });
  checkIndependence(own.eval(), batch);
});

test.each<[string, (rows: Tensor) => Tensor]>([
  [
    'minus the batch mean',
    (rows) =>
      rows
        .sub(rows.mean([0], true))
        .sin()
        .sum([1]),
  ],
  ['divided by a detached batch statistic', (rows) => rows.sum([1]).div(rows.pow(2).mean().detach().add(1))],
  ['against the other samples of the batch', (rows) => rows.matmul(rows.t()).logSoftmax(1).diagonal().neg()],
  ['of the neighbour', (rows) => rows.roll([1], [0]).sum([1])],
])('refuses a loss %s and names both samples', (_name, loss) => {
  expect(() => checkIndependence(model(loss), { x })).toThrow(
    expect.objectContaining({
      code: 'ERR_SAMPLES_MIXED',
      message: expect.stringMatching(/sample \d moved .* sample \d was/) as string,
    }),
  );
});

test('an honest loss passes, and a loss that ignores its data shows nothing', () => {
  checkIndependence(
    model((rows) => rows.sin().sum([1])),
    { x },
  );
  expect(() =>
    checkIndependence(
      model((rows) => rows.mul(0).sum([1])),
      { x },
    ),
  ).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});

test('a batch of its own kind says itself how a sample is changed', () => {
  const own = { loss: (batch: { readonly text: readonly string[] }) => tensor(batch.text.map((line) => line.length)) };
  const change = (batch: { readonly text: readonly string[] }, sample: number): { text: string[] } => ({
    text: batch.text.map((line, b) => (b === sample ? `${line}!` : line)),
  });
  checkIndependence(own, { text: ['a', 'bc', 'def'] }, { change });
  const longest = {
    loss: (batch: { readonly text: readonly string[] }) =>
      tensor(batch.text.map((line) => line.length / Math.max(...batch.text.map((other) => other.length)))),
  };
  expect(() => checkIndependence(longest, { text: ['a', 'bc', 'def'] }, { change, samples: [2] })).toThrow(
    expect.objectContaining({ code: 'ERR_SAMPLES_MIXED' }),
  );
});

test('one sample alone, or a loss of another shape, is refused', () => {
  expect(() =>
    checkIndependence(
      model((rows) => rows.sum([1])),
      { x: tensor([[1, 2]]) },
    ),
  ).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  expect(() =>
    checkIndependence(
      model((rows) => rows.sum()),
      { x },
    ),
  ).toThrow(expect.objectContaining({ code: 'ERR_LOSS_SHAPE' }));
});
