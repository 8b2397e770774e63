// Which operators can be called, and what is said when none of their overloads fits.

import { native } from '../../../lib/native';
import { ones, type Tensor, tensor, torch } from '../../../lib/tensor';
import type { Native } from '../../../lib/tensor/native';

const core = native() as unknown as Native;

function messageOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    expect((error as { code: string }).code).toBe('ERR_TORCH_NO_OVERLOAD');
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

test('a refusal lists every overload of the operator, and why each was refused', () => {
  for (const name of ['add', 'sum', 'to', 'index_put', 'arange', 'where'] as const) {
    const call = torch.ops.aten[name] as unknown as (...args: unknown[]) => unknown;
    const message = messageOf(() => call('neither', { no: 1 }));
    const listings = core.schemas(`aten::${name}`);
    expect(listings.length).toBeGreaterThan(1);
    for (const { schema } of listings) expect(message).toContain(`\n  ${schema}\n    refused: `);
  }
});

test.each([
  [() => ones([2]).add('x' as never), 'other must be Tensor, got '],
  [() => ones([2]).add(1, { beta: 2 } as never), 'has no argument named beta'],
  [() => (torch.ops.aten.add as unknown as () => void)(), 'self is missing'],
  [
    () => (ones([2]).add as (...args: unknown[]) => void)(ones([2]), ones([2]), 1),
    'takes at most 2 positional arguments, got 4',
  ],
  [
    () => (ones([2]).add as (...args: unknown[]) => void)(ones([2]), { other: ones([2]) }),
    'an argument is given twice',
  ],
  [() => torch.ops.aten.zeros([2], { dtype: 'float23' as never }), "dtype must be ScalarType?, got 'float23'"],
  [() => torch.ops.aten.zeros([1.5]), 'size must be int[], got an array of 1'],
  [() => ones([2]).sum([0], 1 as never), 'keepdim must be bool, got 1'],
  [() => ones([2]).view(7 as never), 'dtype must be ScalarType, got 7'],
  [() => torch.ops.aten.sum(ones([2]), 'batch' as never), 'takes dimension names'],
])('refusal %#', (body, reason) => {
  expect(messageOf(body)).toContain(`refused: ${reason}`);
});

test('undefined counts as left out, also behind the keywords, and keywords may be the only argument', () => {
  const x = ones([2, 3]);
  const sum = torch.ops.aten.sum as unknown as (...args: unknown[]) => Tensor;
  expect(sum(x, undefined, undefined).shape).toEqual([]);
  expect(sum(x, [0], undefined, { dtype: 'float64' }).dtype).toBe('float64');
  expect(sum(x, { dim: [1], keepdim: true, dtype: undefined }, undefined).shape).toEqual([2, 1]);
  expect(sum({ self: x, dim: 0 }).shape).toEqual([3]);
});

test('overloads are tried with Tensor before Scalar', () => {
  expect(
    core
      .schemas('aten::add')
      .map(({ overload }) => overload)
      .slice(0, 2),
  ).toEqual(['Tensor', 'Scalar']);
  expect(tensor([1, 2], { dtype: 'int64' }).add(1).dtype).toBe('int64');
  expect(tensor([1, 2], { dtype: 'int64' }).add(1.5).dtype).toBe('float32');
});

test('a missing operator is undefined, and torch.ops suggests near names', () => {
  expect(core.operator('aten::no_such_thing')).toBeUndefined();
  expect(core.operator('no namespace')).toBeUndefined();
  expect(() => (torch.ops.aten as unknown as Record<string, unknown>)['softmaxx']).toThrow(
    'Did you mean aten::softmax',
  );
});

// When a new LibTorch brings an argument type that the door does not know, this table must say so.
const WITHOUT_A_JAVASCRIPT_VALUE = [
  '',
  'Dict(Tensor, Tensor)',
  'QScheme',
  'Storage',
  'Stream',
  '__torch__.torch.classes.rnn.CellParamsBase[]',
  'takes dimension names',
];

test('every operator of aten can be called, except those with types that JavaScript has no value for', () => {
  const reasons: string[] = [];
  for (const name of core.operatorNames().filter((full) => full.startsWith('aten::'))) {
    for (const { unbindable } of core.schemas(name))
      reasons.push(unbindable.replace(/^argument \w+ is |^returns /, ''));
  }
  expect([...new Set(reasons)].sort()).toEqual(WITHOUT_A_JAVASCRIPT_VALUE);
  expect(reasons.filter((reason) => reason === '').length).toBeGreaterThan(3000);
});
