// Operators of one's own: a declared use has the norm of what is declared, and adds up with every other use.

import { test as property } from '@fast-check/jest';
import { declareUse, Linear, Module, Parameter, withSegments } from '../../../lib/nn';
import { ones, type Tensor, zeros } from '../../../lib/tensor';
import { inSegments, ints, sampleSums, withBook } from '../../csrc/ops/book';
import { makeIds, Random } from '../../csrc/ops/random';
import { offsets, seed, SEEDED, width } from '../../csrc/ops/shapes';
import { expectPerSample, normals, own } from './per-sample';
import { ragged } from './support';

const RANK = 3;
const VOCABULARY = 7;

/** y = x U Uᵀ + scale · E[ids] + V x, where V has a layer of its own too. */
class LowRank extends Module {
  readonly basis: Parameter;
  readonly table: Parameter;
  readonly linear: Linear;

  constructor(dim: number) {
    super();
    this.basis = new Parameter(zeros([dim, RANK], { dtype: 'float64' }));
    this.table = new Parameter(zeros([VOCABULARY, dim], { dtype: 'float64' }));
    this.linear = new Linear(dim, dim, { dtype: 'float64', bias: false });
  }

  forward(x: Tensor, ids: Tensor): Tensor {
    const U = this.basis.detach();
    const code = declareUse(x.matmul(U), this.basis, { left: x });
    const decoded = declareUse(code.matmul(U.t()), this.basis, { right: code });
    const looked = declareUse(this.table.detach().indexSelect(0, ids).mul(2), this.table, { ids, scale: 2 });
    const { weight } = this.linear;
    const again = declareUse(decoded.matmul(weight.detach().t()), weight, { right: decoded });
    return this.linear.forward(again).add(looked);
  }
}

property.prop([offsets(17), width, seed], { ...SEEDED, numRuns: 15 })(
  'declared uses from the left, from the right and by id, of parameters with other uses too, are exact',
  (at, dim, start) => {
    const random = new Random(start);
    const module = new LowRank(dim);
    const x = normals(random, at.at(-1)!, dim);
    const ids = ints(makeIds('few', at.at(-1)!, VOCABULARY, (n) => random.below(n)));
    expectPerSample(
      {
        module,
        at,
        packed: true,
        ours: () => ({ rows: module.forward(x, ids) }),
        plain: ({ basis, table, ...p }, b) => {
          const V = p['linear.weight']!;
          const decoded = own(x, at, b).matmul(basis!).matmul(basis!.t());
          const looked = table!.indexSelect(0, own(ids, at, b)).mul(2);
          return { rows: decoded.matmul(V.t()).matmul(V.t()).add(looked) };
        },
      },
      random,
    );
  },
);

test('the norm is that of the declaration, whatever the operator computes', () => {
  const W = new Parameter(zeros([2, 2], { dtype: 'float64' }));
  withBook({ W }, (book) => {
    const right = ones([3, 2], { dtype: 'float64' });
    const loss = inSegments([0, 1, 3], () =>
      sampleSums(declareUse(ones([3, 2], { dtype: 'float64' }).mul(5), W, { right }).sum([1]), [0, 1, 3]),
    );
    // Each row declares a matrix of ones.
    expect(book.backward(loss).norms().norm).toEqual([2, 4]);
    expect([...book.accumulate([1, 0.5]).flat()]).toEqual([2, 2, 2, 2]);
  });
});

test('a parameter used without detaching it is refused', () => {
  const W = new Parameter(ones([2, 2], { dtype: 'float64' }));
  withBook({ W }, (book) => {
    const x = ones([1, 2], { dtype: 'float64' });
    const loss = declareUse(x.matmul(W.t()), W, { right: x }).sum([1]);
    expect(() => book.backward(loss)).toThrow(expect.objectContaining({ code: 'ERR_NO_GRADIENT_RULE' }));
  });
});

test('declarations that do not fit are refused', () => {
  const W = new Parameter(ones([2, 3]));
  const y = ones([4, 2]);
  const rows = ones([4, 3]);
  const bad = [
    {},
    { right: rows, left: rows },
    { right: ones([4, 2]) },
    { right: ones([3, 3]) },
    { right: rows, scale: 2 },
    { ids: ints([0, 1, 2, 3]) },
  ];
  for (const use of bad)
    expect(() => declareUse(y, W, use as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  using segments = ragged([2, 1]);
  expect(() => withSegments(segments, () => declareUse(y, W, { right: rows }))).toThrow(
    expect.objectContaining({ code: 'ERR_BATCH_DIMENSION' }),
  );
});
