// Whatever JavaScript hands over, native code answers with an error that has a code. It never ends the process.

import { createServer } from 'node:net';

import { native } from '../../../lib/native';
import { fromTypedArray, Generator, ones, type Tensor, tensor, torch } from '../../../lib/tensor';
import type { Native } from '../../../lib/tensor/native';

type Loose = Record<keyof Native, (...args: unknown[]) => unknown>;
const raw = native() as unknown as Loose;

function codeOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    return (error as { code?: string }).code ?? `no code: ${String(error)}`;
  }
  return 'nothing was thrown';
}

/** An External that another part of the process made: its pointer is no handle of ours. */
async function foreignExternal(): Promise<object> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const external = (server as unknown as { _handle: { _externalStream: object } })._handle._externalStream;
  server.close();
  return external;
}

const TENSOR_NATIVES = [
  ...(['shape', 'dtype', 'device', 'numel', 'isLeaf', 'requiresGrad', 'grad', 'setGrad', 'backward'] as const),
  ...(['item', 'toTypedArray', 'dispose', 'share'] as const),
];

describe.each(TENSOR_NATIVES)('native %s', (name) => {
  test.each([undefined, null, 1, 'x', {}, [], Symbol('s'), 7n, () => 1])('refuses %p', (value) => {
    expect(codeOf(() => raw[name](value, null, false, false))).toBe('ERR_INVALID_ARGUMENT');
  });

  test('refuses a foreign External', async () => {
    const external = await foreignExternal();
    expect(codeOf(() => raw[name](external, null, false, false))).toBe('ERR_INVALID_ARGUMENT');
  });
});

test('an operator refuses a foreign External, first, later, in a list and as a keyword', async () => {
  const external = await foreignExternal();
  const x = ones([2]);
  const add = torch.ops.aten.add as unknown as (...args: unknown[]) => unknown;
  const cat = torch.ops.aten.cat as unknown as (...args: unknown[]) => unknown;
  expect(codeOf(() => add(external, x))).toBe('ERR_TORCH_NO_OVERLOAD');
  expect(codeOf(() => add(x, external))).toBe('ERR_TORCH_NO_OVERLOAD');
  expect(codeOf(() => cat([x, external]))).toBe('ERR_TORCH_NO_OVERLOAD');
  expect(codeOf(() => add(x, { other: external }))).toBe('ERR_TORCH_NO_OVERLOAD');
});

test('a generator is no tensor, and a tensor no generator', () => {
  const generator = new Generator(1);
  expect(codeOf(() => torch.ops.aten.neg(generator as unknown as Tensor))).toBe('ERR_TORCH_NO_OVERLOAD');
  expect(codeOf(() => ones([2]).normal_(0, 1, { generator: ones([1]) }))).toBe('ERR_TORCH_NO_OVERLOAD');
});

test('a disposed tensor throws ERR_TENSOR_DISPOSED at every use, and may be disposed again', () => {
  const x = ones([2]);
  const y = ones([2]);
  x.dispose();
  expect(x.disposed).toBe(true);
  const uses: (() => unknown)[] = [
    () => x.shape,
    () => x.dtype,
    () => x.grad,
    () => x.add(1),
    () => y.add(x),
    () => torch.ops.aten.cat([y, x]),
    () => x.backward(),
    () => x.item(),
    () => x.toTypedArray(),
    () => x.requiresGrad_(),
    () => x.share(),
    () => y.add(y, { out: x }),
  ];
  for (const use of uses) expect(codeOf(use)).toBe('ERR_TENSOR_DISPOSED');
  x.dispose();
  expect(String(x)).toBe('Tensor(disposed)');
});

test('wrong dtypes and shapes throw what LibTorch says, with the operator in front', () => {
  const integers = tensor([1, 2], { dtype: 'int64' });
  expect(() => integers.matmul(ones([2]))).toThrow(/^aten::matmul: /);
  expect(codeOf(() => ones([2]).add(ones([3])))).toBe('ERR_TORCH');
  expect(codeOf(() => integers.requiresGrad_())).toBe('ERR_TORCH');
  expect(codeOf(() => ones([2]).embedding(ones([2])))).toBe('ERR_TORCH');
});

test('a detached buffer has no elements left, and is refused', () => {
  const array = new Float32Array([1, 2, 3]);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  expect(codeOf(() => fromTypedArray(array, [3]))).toBe('ERR_INVALID_ARGUMENT');
  expect(codeOf(() => raw.fromTypedArray(array, [3], 'float32'))).toBe('ERR_INVALID_ARGUMENT');
});

test.each([
  [[2], 'float32'],
  [[-3], 'float32'],
  [[1.5, 2], 'float32'],
  [[2 ** 32, 2 ** 32], 'float32'],
  [[3], 'float64'],
  [[3], 'int64'],
  [[3], 'nonsense'],
  [[3], 7],
  ['3', 'float32'],
  [[NaN], 'float32'],
])('three floats do not fit shape %p as %p', (shape, dtype) => {
  expect(codeOf(() => raw.fromTypedArray(new Float32Array(3), shape, dtype))).toBe('ERR_INVALID_ARGUMENT');
});

test('a shape whose getter detaches the buffer while it is read does not reach freed memory', () => {
  const array = new Float32Array(3);
  const shape = [3];
  Object.defineProperty(shape, 0, {
    get() {
      structuredClone(array.buffer, { transfer: [array.buffer] });
      return 3;
    },
  });
  expect(codeOf(() => raw.fromTypedArray(array, shape, 'float32'))).toBe('ERR_INVALID_ARGUMENT');
});

test('a keyword whose getter throws passes its own error on, through TypeScript and natively', () => {
  const keywords = {
    get alpha(): number {
      throw new RangeError('from the getter');
    },
  };
  expect(() => ones([1]).add(1, keywords)).toThrow(RangeError);
  expect(() =>
    (raw.operator('aten::add') as (...args: unknown[]) => unknown)(
      raw.fromTypedArray(new Float32Array(1), [1], 'float32'),
      1,
      keywords,
    ),
  ).toThrow('from the getter');
});

test('more memory than there is throws ERR_OUT_OF_MEMORY', () => {
  expect(codeOf(() => torch.zeros([1e6, 1e6, 100]))).toBe('ERR_OUT_OF_MEMORY');
});

test('every operator refuses an unknown keyword', () => {
  const names = raw.operatorNames() as string[];
  const codes = names.map((name) => codeOf(() => (raw.operator(name) as (k: object) => unknown)({ noSuchKeyword: 1 })));
  expect(names.length).toBeGreaterThan(1500);
  expect(new Set(codes)).toEqual(new Set(['ERR_TORCH_NO_OVERLOAD']));
});

test('too many arguments are refused, not cut off', () => {
  expect(
    codeOf(() => (raw.operator('aten::add') as (...args: number[]) => unknown)(...Array<number>(100).fill(1))),
  ).toBe('ERR_INVALID_ARGUMENT');
});
