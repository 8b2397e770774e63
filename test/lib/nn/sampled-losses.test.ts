// Losses over sampled candidates: what the full losses give on the chosen columns, exact also where the table is an embedding's.

import { fc, test as property } from '@fast-check/jest';
import {
  candidateScores,
  Embedding,
  Module,
  Parameter,
  sampledBinaryCrossEntropy,
  sampledCrossEntropy,
  withSegments,
} from '../../../lib/nn';
import { type Tensor, tensor, torch, zeros } from '../../../lib/tensor';
import { ints, type Parameters } from '../../csrc/ops/book';
import { makeIds, Random } from '../../csrc/ops/random';
import { offsets, repetition, seed, SEEDED, width } from '../../csrc/ops/shapes';
import { expectPerSample, normals, own } from './per-sample';
import { numbers, ragged } from './support';

const { aten } = torch.ops;

class Tied extends Module {
  readonly items: Embedding;
  readonly bias: Parameter;

  constructor(items: number, dim: number) {
    super();
    this.items = new Embedding(items, dim, { dtype: 'float64', scale: 2 });
    this.bias = new Parameter(zeros([items], { dtype: 'float64' }));
  }
}

const losses = { sampledCrossEntropy, sampledBinaryCrossEntropy };
const plainLoss = {
  sampledCrossEntropy: (scores: Tensor) => scores.logSoftmax(1).select(1, 0).neg(),
  sampledBinaryCrossEntropy: (scores: Tensor) => {
    const targets = zeros(scores.shape, { dtype: 'float64' });
    targets.select(1, 0).fill_(1);
    return aten.binary_cross_entropy_with_logits(scores, targets, null, null, 0).sum([1]);
  },
};

describe.each(['sampledCrossEntropy', 'sampledBinaryCrossEntropy'] as const)('%s', (name) => {
  property.prop([offsets(9), fc.constantFrom(2, 65), width, fc.constantFrom(1, 4), repetition, seed], {
    ...SEEDED,
    numRuns: 20,
  })('of a tied table equals autograd one sample at a time', (at, M, dim, negatives, kind, start) => {
    const random = new Random(start);
    const rows = at.at(-1)!;
    const module = new Tied(M, dim);
    const draw = (count: number): number[] => makeIds(kind, count, M, (n) => random.below(n));
    const [ids, positives] = [ints(draw(rows)), ints(draw(rows))];
    const others = ints(draw(rows * negatives)).view([rows, negatives]);
    const weights = tensor(
      Float64Array.from({ length: rows }, () => random.pick([0, 1, 0.5])),
      { dtype: 'float64' },
    );
    const reduction = random.pick(['mean', 'sum'] as const);
    const plain = ({ bias, ...p }: Parameters, b: number) => {
      const [table, mine] = [p['items.weight']!, own(weights, at, b)];
      const chosen = aten.cat([own(positives, at, b).unsqueeze(1), own(others, at, b)], 1).flatten();
      const pick = (values: Tensor): Tensor => values.indexSelect(0, chosen);
      const hidden = table
        .indexSelect(0, own(ids, at, b))
        .mul(2)
        .tanh();
      const columns = pick(table).view([-1, negatives + 1, dim]);
      const scores = columns
        .matmul(hidden.unsqueeze(2))
        .squeeze(2)
        .add(pick(bias!).view([-1, negatives + 1]));
      const total = plainLoss[name](scores).mul(mine).sum();
      const counted = numbers(mine).reduce((sum, w) => sum + w, 0);
      return { rows: null, single: reduction === 'mean' && counted > 0 ? total.div(counted) : total };
    };
    expectPerSample(
      {
        module,
        at,
        packed: true,
        ours: () => ({
          rows: zeros([rows, 0], { dtype: 'float64' }),
          single: losses[name](module.items.forward(ids).tanh(), module.items.weight, positives, others, {
            weights,
            reduction,
            bias: module.bias,
          }),
        }),
        plain,
      },
      random,
    );
  });

  test('a sample in which nothing counts has loss 0, and scores of ±1e4 overflow nothing', () => {
    const table = tensor([[1e4], [-1e4]], { dtype: 'float64' });
    const weights = tensor([0, 0, 1], { dtype: 'float64' });
    using segments = ragged([2, 1]);
    const loss = withSegments(segments, () =>
      losses[name](
        tensor([[1], [1], [1]], { dtype: 'float64' }),
        table,
        ints([0, 0, 1]),
        ints([1, 1, 0]).view([3, 1]),
        {
          weights,
        },
      ),
    );
    expect(numbers(loss)).toEqual([0, 2e4]);
  });
});

test('with every other item as a negative the sampled loss is the full one', () => {
  const random = new Random(8);
  const [hidden, table] = [normals(random, 3, 4), normals(random, 5, 4)];
  const positives = [4, 0, 2];
  const negatives = positives.flatMap((y) => [0, 1, 2, 3, 4].filter((id) => id !== y));
  const sampled = sampledCrossEntropy(hidden, table, ints(positives), ints(negatives).view([3, 4]));
  const full = aten.cross_entropy_loss(hidden.matmul(table.t()), ints(positives), null, 0);
  numbers(full).forEach((value, b) => expect(numbers(sampled)[b]).toBeCloseTo(value, 12));
});

test('an id outside the table is refused', () => {
  const [hidden, table] = [zeros([1, 2]), zeros([3, 2])];
  for (const id of [-1, 3])
    expect(() => candidateScores(hidden, table, ints([id]).view([1, 1]))).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
    );
});
