// What the book refuses, by code; every refusal leaves the sum as it was, and the next step works.

import type { PhantomgradError } from '../../../lib/errors';
import { fromTypedArray, noGrad, ones, type Tensor, tensor, torch, zeros } from '../../../lib/tensor';
import { inSegments, ints, OpenBook, sampleSums, withBook } from './book';
import { Random } from './random';

const ops = torch.ops.phantomgrad;
const [M, D] = [6, 4];
const AT = [0, 2, 3, 6];

interface Model {
  readonly E: Tensor;
  readonly W: Tensor;
  readonly b: Tensor;
}

function model(): Model {
  const random = new Random(11);
  return {
    E: tensor(random.normals(M * D), { dtype: 'float64', shape: [M, D], requiresGrad: true }),
    W: tensor(random.normals(D * D), { dtype: 'float64', shape: [D, D], requiresGrad: true }),
    b: tensor(random.normals(D), { dtype: 'float64', requiresGrad: true }),
  };
}

const ids = (): Tensor => ints([0, 1, 2, 3, 3, 5]);
const hidden = ({ E, W, b }: Model, x = ids()): Tensor => ops.linear(ops.embedding(x, E), W, b).tanh();
const clean = (m: Model): Tensor =>
  inSegments(AT, () => ops.softmax_cross_entropy_head(hidden(m), m.E, ints([1, 2, 3, 4, 5, 0])));

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as PhantomgradError).code;
  }
  return 'nothing was thrown';
}

type Refusal = readonly [name: string, code: string, action: (m: Model, book: OpenBook) => unknown];

const REFUSALS: readonly Refusal[] = [
  [
    'a parameter that reaches the loss through aten::matmul',
    'ERR_NO_GRADIENT_RULE',
    (m, book) => book.backward(clean(m).add(ones([3, D], { dtype: 'float64' }).matmul(m.W).sum([1]))),
  ],
  [
    'a leaf that requires a gradient outside the book',
    'ERR_NO_GRADIENT_RULE',
    (m, book) => {
      const stranger = ones([D, D], { dtype: 'float64', requiresGrad: true });
      book.backward(inSegments(AT, () => sampleSums(ops.linear(hidden(m), stranger).sum([1]), AT)));
    },
  ],
  ['a parameter that is the loss itself', 'ERR_NO_GRADIENT_RULE', (m, book) => book.backward(m.b.narrow(0, 0, 3))],
  [
    'a loss that depends on no parameter',
    'ERR_NO_GRADIENT_RULE',
    (_, book) => book.backward(zeros([3], { dtype: 'float64' })),
  ],
  [
    'weights of the loss that ask for a gradient',
    'ERR_NO_GRADIENT_RULE',
    (m) =>
      inSegments(AT, () =>
        ops.softmax_cross_entropy_head(hidden(m), m.E, ids(), ones([6], { dtype: 'float64', requiresGrad: true })),
      ),
  ],
  ["the user's own backward", 'ERR_BACKWARD_OUTSIDE_STEP', (m) => clean(m).sum().backward()],
  ["the user's own backward past our operators", 'ERR_BACKWARD_OUTSIDE_STEP', (m) => m.W.sum().backward()],
  ['createGraph', 'ERR_BACKWARD_OUTSIDE_STEP', (m) => clean(m).sum().backward(undefined, { createGraph: true })],
  [
    'a loss that was used before',
    'ERR_BACKWARD_OUTSIDE_STEP',
    (m, book) => {
      const loss = clean(m);
      book.backward(loss).accumulate([0, 0, 0]);
      book.backward(loss);
    },
  ],
  [
    'position ids of shape [1, T]',
    'ERR_BATCH_DIMENSION',
    (m, book) => {
      // Two samples of three rows; the positions of one are broadcast to both.
      const x = ops.embedding(ids().view([2, 3]), m.E).add(ops.embedding(ints([0, 1, 2]).view([1, 3]), m.E));
      book.backward(x.sin().sum([1, 2]));
    },
  ],
  [
    'position ids of shape [T] inside segments',
    'ERR_BATCH_DIMENSION',
    (m) => inSegments(AT, () => ops.embedding(ints([0, 1, 2]), m.E)),
  ],
  ['segments of another batch', 'ERR_BATCH_DIMENSION', (m) => inSegments([0, 2, 5], () => hidden(m))],
  [
    'segments that are fewer than the losses',
    'ERR_BATCH_DIMENSION',
    (m, book) => {
      const h = inSegments([0, 6], () => hidden(m));
      book.backward(sampleSums(h.sum([1]), AT));
    },
  ],
  ['segments that fall', 'ERR_BATCH_DIMENSION', (m) => inSegments([0, 4, 3, 6], () => hidden(m))],
  ['segments that do not start at 0', 'ERR_BATCH_DIMENSION', (m) => inSegments([1, 6], () => hidden(m))],
  ['segments of floats', 'ERR_BATCH_DIMENSION', () => ops.set_segments(tensor([0, 3, 6]))],
  ['a loss that is averaged over the batch', 'ERR_LOSS_SHAPE', (m, book) => book.backward(clean(m).mean())],
  ['a loss with two dimensions', 'ERR_LOSS_SHAPE', (m, book) => book.backward(clean(m).unsqueeze(1))],
  [
    'a loss of another batch than the one drawn',
    'ERR_BATCH_NOT_SAMPLED',
    (m, book) => {
      ops.set_segments(ints(AT), 7);
      const loss = hidden(m);
      ops.set_segments(null);
      ops.book_backward(book.id, sampleSums(loss.sum([1]), AT), 8);
    },
  ],
  [
    'a graph made before the last update',
    'ERR_TORCH',
    (m, book) => {
      const loss = clean(m);
      ops.book_parameters_changed(book.id);
      book.backward(loss);
    },
  ],
  [
    'an activation that was edited in place',
    'ERR_TORCH',
    (m, book) => {
      const x = tensor(new Random(3).normals(24), { dtype: 'float64', shape: [6, 4] });
      const loss = inSegments(AT, () => sampleSums(ops.linear(x, m.W).sin().sum([1]), AT));
      x.add_(1);
      book.backward(loss);
    },
  ],
  ['another attach of the same parameter', 'ERR_ENGINE_STATE', (m) => new OpenBook({ again: m.W })],
  [
    'a factor for each of two samples of three',
    'ERR_INVALID_ARGUMENT',
    (m, book) => {
      book.backward(clean(m));
      try {
        book.accumulate([1, 1]);
      } finally {
        ops.book_discard(book.id);
      }
    },
  ],
  ['an id beyond the table', 'ERR_INVALID_ARGUMENT', (m) => inSegments(AT, () => hidden(m, ints([0, 1, 2, 3, 4, M])))],
  ['an id below zero', 'ERR_INVALID_ARGUMENT', (m) => inSegments(AT, () => hidden(m, ints([0, 1, 2, 3, 4, -1])))],
  ['ids of floats', 'ERR_INVALID_ARGUMENT', (m) => inSegments(AT, () => hidden(m, zeros([6])))],
  [
    'a target beyond the table',
    'ERR_INVALID_ARGUMENT',
    (m) => inSegments(AT, () => ops.softmax_cross_entropy_head(hidden(m), m.E, ints([1, 2, 3, 4, 5, M]))),
  ],
  [
    'a target of floats',
    'ERR_INVALID_ARGUMENT',
    (m) => inSegments(AT, () => ops.softmax_cross_entropy_head(hidden(m), m.E, zeros([6]))),
  ],
  [
    'a target outside the candidates',
    'ERR_INVALID_ARGUMENT',
    (m) =>
      inSegments(AT, () =>
        ops.softmax_cross_entropy_head(hidden(m), m.E, ids(), null, null, { candidates: ints([0, 1, 2]) }),
      ),
  ],
  [
    'a smoothing of 1',
    'ERR_INVALID_ARGUMENT',
    (m) =>
      inSegments(AT, () => ops.softmax_cross_entropy_head(hidden(m), m.E, ids(), null, null, { label_smoothing: 1 })),
  ],
  [
    'an input of another width',
    'ERR_INVALID_ARGUMENT',
    (m) => ops.linear(zeros([6, D + 1], { dtype: 'float64' }), m.W),
  ],
  ['an input of another dtype', 'ERR_INVALID_ARGUMENT', (m) => ops.linear(zeros([6, D]), m.W)],
  [
    'half precision',
    'ERR_INVALID_ARGUMENT',
    () => ops.linear(zeros([6, D], { dtype: 'float16' }), zeros([D, D], { dtype: 'float16' })),
  ],
  ['a negative number of samples', 'ERR_INVALID_ARGUMENT', (m) => ops.per_sample(m.W, -1)],
  ['a book that is not there', 'ERR_ENGINE_STATE', () => ops.book_norms(987654321)],
];

test.each(REFUSALS)('%s is refused with %s; the sum and the next step are as before', (_name, code, action) => {
  const m = model();
  withBook({ ...m }, (book) => {
    book.backward(clean(m)).accumulate([1, 0.5, 0.25]);
    const before = book.flat().slice();
    const parameters = book.arena.clone();
    expect(codeOf(() => action(m, book))).toBe(code);
    ops.set_segments(null);
    expect([...book.flat()]).toEqual([...before]);
    expect(book.arena.equal(parameters)).toBe(true);
    book.clear().backward(clean(m)).accumulate([1, 0.5, 0.25]);
    expect([...book.flat()]).toEqual([...before]);
  });
});

const ATTACHMENTS: readonly (readonly [string, string, () => Record<string, Tensor>])[] = [
  ['no parameters', 'ERR_INVALID_ARGUMENT', () => ({})],
  ['a parameter without requiresGrad', 'ERR_INVALID_ARGUMENT', () => ({ w: zeros([3]) })],
  ['a tensor that is no leaf', 'ERR_INVALID_ARGUMENT', () => ({ w: zeros([3], { requiresGrad: true }).mul(2) })],
  ['half precision', 'ERR_INVALID_ARGUMENT', () => ({ w: zeros([3], { dtype: 'float16' }).requiresGrad_() })],
  ['complex numbers', 'ERR_INVALID_ARGUMENT', () => ({ w: zeros([3], { dtype: 'complex64' }).requiresGrad_() })],
  [
    'mixed precisions',
    'ERR_INVALID_ARGUMENT',
    () => ({ v: zeros([3], { requiresGrad: true }), w: zeros([3], { dtype: 'float64', requiresGrad: true }) }),
  ],
  [
    'one tensor under two names',
    'ERR_INVALID_ARGUMENT',
    () => {
      const w = zeros([3], { requiresGrad: true });
      return { v: w, w };
    },
  ],
  [
    'two leaves over the same memory',
    'ERR_INVALID_ARGUMENT',
    () => {
      const w = zeros([4]);
      return { v: w.narrow(0, 0, 3).detach().requiresGrad_(), w: w.narrow(0, 2, 2).detach().requiresGrad_() };
    },
  ],
];

test('leaves side by side in one tensor may be attached', () => {
  const all = tensor([1, 2, 3, 4]);
  const [v, w] = [0, 2].map((at) => all.narrow(0, at, 2).detach().requiresGrad_()) as [Tensor, Tensor];
  withBook({ v, w }, (book) => expect(book.arena.toArray()).toEqual([1, 2, 3, 4]));
});

test('a parameter that was given other memory is refused in the forward pass and in the step', () => {
  const m = model();
  const larger = zeros([50 * M, D], { dtype: 'float64' });
  withBook({ ...m }, (book) => {
    const arena = noGrad(() => m.E.detach());
    const loss = clean(m);
    m.E.setData(larger);
    expect(codeOf(() => clean(m))).toBe('ERR_ENGINE_STATE');
    expect(codeOf(() => book.backward(loss))).toBe('ERR_ENGINE_STATE');
    m.E.setData(arena);
    book.backward(clean(m)).accumulate([1, 1, 1]);
  });
  expect(m.E.shape).toEqual([M, D]);
});

test.each(ATTACHMENTS)('attaching %s is refused with %s and attaches nothing', (_name, code, make) => {
  const good = zeros([2, 2], { requiresGrad: true });
  expect(codeOf(() => new OpenBook({ good, ...make() }))).toBe(
    Object.keys(make()).length === 0 ? 'nothing was thrown' : code,
  );
  if (Object.keys(make()).length === 0) expect(codeOf(() => new OpenBook({}))).toBe(code);
  // Had it been attached, its own backward would be refused.
  else expect(codeOf(() => good.sum().backward())).toBe('nothing was thrown');
});

test('after detach parameters keep their values, have memory of their own, and ordinary gradients', () => {
  const m = model();
  const before = m.W.toArray();
  const stale = withBook({ ...m }, (book) => {
    book.backward(clean(m));
    return clean(m);
  });
  expect(m.W.toArray()).toEqual(before);
  expect(codeOf(() => stale.sum().backward())).toBe('ERR_BACKWARD_OUTSIDE_STEP'); // made for the book that is gone
  clean(m).sum().backward();
  expect(m.W.grad).not.toBeNull();
  expect(m.W.add(0).isLeaf).toBe(false);
  withBook({ W: m.W }, () => undefined); // and may be attached again
});

test('second derivatives of an operator without a book are refused, not wrong', () => {
  const m = model();
  expect(codeOf(() => clean(m).sum().backward(undefined, { createGraph: true }))).toBe('ERR_NO_GRADIENT_RULE');
});

test('what the caller writes into ids, targets, weights and keys after the forward pass changes nothing', () => {
  const m = model();
  const run = (edit: boolean): number[] =>
    withBook({ ...m }, (book) => {
      const [x, y, w, keys] = [ids(), ints([1, 2, 3, 4, 5, 0]), ones([6], { dtype: 'float64' }), ints([4, 5, 6])];
      const loss = inSegments(AT, () => {
        const h = ops.dropout(hidden(m, x), 0.5, {
          seed: 1,
          step: 2,
          site: 3,
          cu_seqlens: ints(AT),
          sample_keys: keys,
        });
        return ops.softmax_cross_entropy_head(h, m.E, y, w);
      });
      if (edit) {
        // Inside the table, so that a failure is a wrong number: beyond it, it would be memory corruption.
        for (const t of [x, y, keys]) t.fill_(4);
        w.fill_(NaN);
      }
      return [...book.backward(loss).accumulate([1, 1, 1]).flat()];
    });
  expect(run(true)).toEqual(run(false));
});

test('a parameter without a use is reported, and gets nothing', () => {
  const m = model();
  const idle = fromTypedArray(new Float64Array(3), [3]).requiresGrad_();
  withBook({ ...m, idle }, (book) => {
    book.backward(clean(m));
    expect(ops.book_unused(book.id).map(Number)).toEqual([3]);
    const { norm2 } = book.norms();
    expect(norm2['idle']).toEqual([0, 0, 0]);
    expect([...book.accumulate([1, 1, 1]).sums()['idle']!]).toEqual([0, 0, 0]);
  });
});

test('discard drops the uses', () => {
  const m = model();
  withBook({ ...m }, (book) => {
    book.backward(clean(m));
    ops.book_discard(book.id);
    expect(noGrad(() => Math.max(...book.flat().map(Math.abs)))).toBe(0);
    expect(ops.book_unused(book.id)).toHaveLength(3);
  });
});
