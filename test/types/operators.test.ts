// The generated types are those of the addon, and say what a caller may write.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expectTypeOf } from 'expect-type';

import { native } from '../../lib/native';
import { ones, Tensor, torch } from '../../lib/tensor';
import type { Native } from '../../lib/tensor/native';

// eslint-disable-next-line @typescript-eslint/no-require-imports -- a script without types
const { operatorTypes, HAND_WRITTEN } = require('../../scripts/operator-types.mjs') as {
  operatorTypes(core: Native): string;
  HAND_WRITTEN: ReadonlySet<string>;
};

const core = native() as unknown as Native;
const committed = readFileSync(join(__dirname, '../../types/ops.d.ts'), 'utf8');

test('types/ops.d.ts is what the addon lists; if this fails, run: npm run generate:types', () => {
  const fresh = operatorTypes(core);
  const lines = new Set(committed.split('\n'));
  expect(fresh.split('\n').filter((line) => !lines.has(line))).toEqual([]);
  expect(committed).toBe(fresh);
});

test('every typed method exists, and every method is typed or written by hand', () => {
  ones([1]);
  const [, body = ''] = /interface TensorMethods<Tensor> \{([^]*?)\n\}/.exec(committed) ?? [];
  const typed = new Set([...body.matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name!));
  const prototype = new Set(Object.getOwnPropertyNames(Tensor.prototype));
  expect([...typed].filter((name) => !prototype.has(name))).toEqual([]);
  expect([...HAND_WRITTEN].filter((name) => !prototype.has(name))).toEqual([]);
  expect(typed.size).toBeGreaterThan(900);
});

test('signatures follow the schemas', () => {
  const x = ones([2, 3]);
  expectTypeOf(x.add(x)).toEqualTypeOf<Tensor>();
  expectTypeOf(torch.ops.aten.topk(x, 1)).toEqualTypeOf<[Tensor, Tensor]>();
  expectTypeOf(torch.ops.aten.size(x, 0)).toEqualTypeOf<number>();
  expectTypeOf(x.allclose(x)).toEqualTypeOf<boolean>();
  expectTypeOf(x.unbind()).toEqualTypeOf<Tensor[]>();
  x.sum([1], true);
  x.sum({ dim: 1, dtype: 'float64' });
  torch.ops.aten.add(x, x, { alpha: 2 });
  x.div(x, { rounding_mode: 'floor' });
  const never = (): void => {
    // @ts-expect-error: a matrix product needs two
    torch.ops.aten.matmul(x);
    // @ts-expect-error: no such dtype
    torch.zeros([1], { dtype: 'float31' });
    // @ts-expect-error: no such keyword
    x.add(x, { beta: 1 });
    // @ts-expect-error: no such operator
    torch.ops.aten.sumup(x);
  };
  expectTypeOf(never).returns.toBeVoid();
});
