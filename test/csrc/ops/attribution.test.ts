// The attribution check: it names a loss that mixes samples, and has nothing to say about a clean one.

import { fc, test as property } from '@fast-check/jest';
import { type Tensor, tensor, torch } from '../../../lib/tensor';
import { inSegments, ints, type OpenBook, withBook } from './book';
import { inputs, leaves, makeBatch, makeParameters } from './batch';
import { PATTERNS } from './patterns';
import { Random } from './random';
import { offsets, repetition, seed, SEEDED } from './shapes';

const ops = torch.ops.phantomgrad;
const check = (book: OpenBook, loss: Tensor, ...samples: number[]): string =>
  ops.book_check_attribution(
    book.id,
    loss,
    Array.from({ length: loss.shape[0] ?? 0 }, (_, b) => Number(samples.includes(b))),
  );

property.prop([fc.constantFrom(...PATTERNS), offsets(17), repetition, seed], { ...SEEDED, numRuns: 60 })(
  'is silent for every way to share parameters, and the step that follows is unchanged',
  (pattern, at, kind, start) => {
    const random = new Random(start);
    const values = makeParameters(pattern, 65, 3, random);
    const parameters = leaves(values, 'float32');
    const all = inputs(makeBatch(random, at, 65, 3, kind), 3, 'float32');
    withBook(parameters, (book) => {
      const loss = inSegments(at, () => pattern.ours(parameters, all));
      const factors = at.slice(1).map(() => 1);
      const plain = [
        ...book
          .backward(inSegments(at, () => pattern.ours(parameters, all)))
          .accumulate(factors)
          .flat(),
      ];
      book.clear();
      at.slice(1).forEach((_, b) => expect(check(book, loss, b)).toBe(''));
      expect(Math.max(0, ...book.flat().map(Math.abs))).toBe(0);
      expect([...book.backward(loss).accumulate(factors).flat()]).toEqual(plain);
    });
  },
);

const [B, T, D] = [3, 4, 5];

/** Losses that mix samples, from rows `[B, T, D]`. */
const MIXTURES: Readonly<Record<string, (y: Tensor) => Tensor>> = {
  'minus the batch mean': (y) =>
    y
      .sub(y.mean([0], true))
      .sin()
      .sum([1, 2]),
  'divided by a batch statistic': (y) => y.div(y.pow(2).mean().add(1)).sum([1, 2]),
  'with batch normalisation': (y) => {
    const flat = y.reshape([B * T, D]);
    return torch.ops.aten
      .native_batch_norm(flat, null, null, null, null, true, 0.1, 1e-5)[0]
      .sin()
      .view([B, T, D])
      .sum([1, 2]);
  },
  'against the other samples of the batch': (y) => {
    const pooled = y.mean([1]);
    return pooled.matmul(pooled.t()).logSoftmax(1).diagonal().neg();
  },
  'along the wrong axis': (y) => y.reshape([T, B, D]).sin().sum([0, 2]),
  'from a neighbour, ever so slightly': (y) =>
    y
      .sin()
      .sum([1, 2])
      .add(y.roll([1], [0]).sum([1, 2]).mul(1e-30)),
};

test.each(Object.entries(MIXTURES))('complains about a loss %s', (_name, mixed) => {
  const random = new Random(4);
  const weight = tensor(random.normals(D * D), { dtype: 'float32', shape: [D, D], requiresGrad: true });
  const x = tensor(random.normals(B * T * D), { dtype: 'float32', shape: [B, T, D] });
  withBook({ weight }, (book) => {
    const complaints = Array.from({ length: B }, (_, b) => check(book, mixed(ops.linear(x, weight)), b));
    expect(complaints.join(' ')).toMatch(
      /losses of other samples reached parameter weight through the rows of sample \d/,
    );
  });
});

test('complains about attention over segments that are not those of the samples', () => {
  const random = new Random(5);
  const weight = tensor(random.normals(D * D), { dtype: 'float32', shape: [D, D], requiresGrad: true });
  const x = tensor(random.normals(B * T * D), { dtype: 'float32', shape: [B * T, D] });
  withBook({ weight }, (book) => {
    const at = [0, 4, 8, 12];
    const loss = (segments: number[]): Tensor =>
      inSegments(at, () => {
        const y = ops.linear(x, weight);
        return ops.attention(y, y, y, ints(segments)).view([B, T, D]).sin().sum([1, 2]);
      });
    expect(check(book, loss(at), 2)).toBe('');
    expect(check(book, loss([0, 6, 12]), 1)).toContain('sample 0');
  });
});

test('a sample that is not finite by itself is no witness', () => {
  const weight = tensor([[1, 2]], { requiresGrad: true });
  const x = tensor([
    [1, 2],
    [NaN, 1],
    [3, 4],
  ]);
  withBook({ weight }, (book) => {
    const loss = (): Tensor => ops.linear(x, weight).sin().sum([1]);
    for (const sample of [0, 2]) expect(check(book, loss(), sample)).toBe('');
  });
});

test('refuses a choice for another number of samples, and a loss of another shape', () => {
  const weight = tensor([[1, 2]], { requiresGrad: true });
  withBook({ weight }, (book) => {
    const loss = (): Tensor =>
      ops
        .linear(
          tensor([
            [1, 2],
            [3, 4],
          ]),
          weight,
        )
        .sum([1]);
    expect(() => ops.book_check_attribution(book.id, loss(), [1, 0, 0])).toThrow(
      expect.objectContaining({ code: 'ERR_LOSS_SHAPE' }),
    );
    expect(() => check(book, loss().sum(), 0)).toThrow(expect.objectContaining({ code: 'ERR_LOSS_SHAPE' }));
  });
});
