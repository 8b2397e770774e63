// Laws of every model that predicts the next item, tied or not: samples do not mix, padding is never predicted, norms are exact.

import { SequenceDataset } from '../../../lib/data';
import {
  type SequentialModel,
  SequentialRecurrent,
  type SequentialRecurrentConfig,
  SequentialTransformer,
} from '../../../lib/models';
import { perSampleNorms } from '../../../lib/privacy';
import { noGrad, type Tensor } from '../../../lib/tensor';

const ITEMS = 17;
const data = SequenceDataset.from([[1, 2, 3, 2, 5], [6, 7], [8], [9, 10, 11, 12, 13, 14, 15, 16, 9]], ITEMS);
const shared = { items: ITEMS, dim: 6, maxLength: 5, dropout: 0, seed: 3 } as const;

type Options = { readonly targets?: 'all' | 'last'; readonly dropout?: number };
const models: [string, (options?: Options) => SequentialModel][] = [
  ['GRU', (options) => new SequentialRecurrent({ ...shared, ...options, cell: 'gru' })],
  ['LSTM', (options) => new SequentialRecurrent({ ...shared, ...options, cell: 'lstm', layers: 2 })],
  ['untied GRU', (options) => new SequentialRecurrent({ ...shared, ...options, cell: 'gru', tied: false })],
  ['untied Transformer', (options) => new SequentialTransformer({ ...shared, ...options, tied: false })],
  ['Transformer', (options) => new SequentialTransformer({ ...shared, ...options })],
];

function batchLoss(model: SequentialModel, records: number[]): { loss: () => Tensor; ids: readonly number[] } {
  const { bytesPerRow: _, ...layout } = model.packing();
  const [batch] = data.pack(Int32Array.from(records), { rowBudget: 100, ...layout });
  return { loss: () => model.loss(batch!), ids: Array.from(batch!.recordIds) };
}

describe.each(models)('%s', (_name, make) => {
  test.each(['all', 'last'] as const)('the loss has one entry a sample, whoever its neighbours are (%s)', (targets) => {
    const model = make({ targets, dropout: 0.3 });
    const { loss, ids } = batchLoss(model, [0, 1, 2, 3]);
    const together = noGrad(() => loss().toArray() as number[]);
    expect(together).toHaveLength(4);
    ids.forEach((record, b) => {
      const alone = noGrad(() => batchLoss(model, [record]).loss().toArray() as number[]);
      expect(alone[0]).toBeCloseTo(together[b]!, 5);
    });
    expect(together[ids.indexOf(2)]).toBe(0);
  });

  test('scores of a batch equal scores one by one, empty histories included', () => {
    const model = make();
    const all = [Int32Array.of(3, 4), new Int32Array(0), Int32Array.of(9, 10, 11, 12, 13, 14, 15)];
    const together = model.scoresBatch(all);
    all.forEach((history, i) => {
      model.scores(history).forEach((score, j) => expect(together[i * (ITEMS + 1) + j]).toBeCloseTo(score, 5));
    });
  });

  test('the loss of the last position is the cross entropy of the scores without the padding item', () => {
    const model = make({ targets: 'last' });
    const scores = model.scores(Int32Array.of(1, 2, 3, 2)).slice(1);
    const lse = Math.log(scores.reduce((sum, z) => sum + Math.exp(z), 0));
    const own = noGrad(() => batchLoss(model, [0]).loss().toArray() as number[]);
    expect(own[0]).toBeCloseTo(lse - scores[4]!, 5);
  });

  test('per-sample norms, which the attribution check has passed, are those of materialised gradients', () => {
    const model = make();
    noGrad(() => model.parameters().forEach((parameter) => parameter.mul_(5)));
    const { loss } = batchLoss(model, [0, 1, 2, 3]);
    const fast = perSampleNorms(model, loss);
    const slow = perSampleNorms(model, loss, { gradients: 'materialize' });
    slow.norm.forEach((norm, b) => expect(Math.abs(fast.norm[b]! - norm)).toBeLessThanOrEqual(1e-4 * norm));
    expect(slow.norm.filter((norm) => norm > 0)).toHaveLength(3);
  });

  test('equal seeds give equal models; a configuration builds its model again', () => {
    const [first, second] = [make(), make()];
    const history = Int32Array.of(1, 2, 3);
    expect(first.scores(history)).toEqual(second.scores(history));
    const { config } = first;
    const again =
      'cell' in config
        ? new SequentialRecurrent(config as SequentialRecurrentConfig)
        : new SequentialTransformer(config);
    expect(again.scores(history)).toEqual(first.scores(history));
  });
});

test('a head of its own has its own parameters, and the table of the input no longer scores', () => {
  const names = (model: SequentialModel): string[] => [...model.namedParameters()].map(([name]) => name);
  const untied = new SequentialTransformer({ ...shared, tied: false });
  expect(names(untied)).toContain('head.weight');
  expect(names(new SequentialTransformer(shared))).not.toContain('head.weight');
  const history = Int32Array.of(1, 2);
  const before = untied.scores(history);
  noGrad(() => untied.items.weight.select(0, 5).add_(3)); // an item that the history does not hold
  expect(untied.scores(history)).toEqual(before);
});

test.each([
  ['another cell', { cell: 'rnn' }],
  ['no layers', { layers: 0 }],
  ['tied that is no choice', { tied: 'yes' }],
  ['Re-Attention', { reAttention: true }],
])('a recurrent model refuses %s', (_name, options) => {
  expect(() => new SequentialRecurrent({ ...shared, cell: 'gru', ...(options as object) })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
  );
});
