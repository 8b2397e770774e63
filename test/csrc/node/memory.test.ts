// Bytes are counted once a storage, and a loop that never yields does not eat the machine.

import { empty, memory, ones, type Tensor, tidy, torch } from '../../../lib/tensor';
import { runChild } from '../../fixtures/child';
import { settledMemory } from '../../fixtures/collect';

test('3,000 one-MiB additions that never yield grow the process by less than 500 MiB', async () => {
  const { stdout, stderr } = await runChild('tensor/loop.cjs');
  expect(stderr).toBe('');
  const { grownMb, mostAlive } = JSON.parse(stdout) as { grownMb: number; mostAlive: number };
  expect(grownMb).toBeLessThan(500);
  expect(mostAlive).toBeLessThan(500);
});

function change(body: () => Tensor[]): { tensors: number; bytes: number } {
  const before = settledMemory();
  const made = body();
  const after = memory();
  for (const tensor of made) tensor.dispose();
  expect(memory().tensors).toBe(before.tensors);
  expect(memory().bytes).toBe(before.bytes);
  return { tensors: after.tensors - before.tensors, bytes: after.bytes - before.bytes };
}

test('a tensor weighs the bytes of its storage', () => {
  expect(change(() => [ones([3, 5])])).toEqual({ tensors: 1, bytes: 60 });
  expect(change(() => [ones([3, 5], { dtype: 'float64' })])).toEqual({ tensors: 1, bytes: 120 });
  expect(change(() => [ones([0])])).toEqual({ tensors: 1, bytes: 0 });
});

test('views of one storage weigh nothing more, and hold it until the last is gone', () => {
  const before = settledMemory();
  const base = ones([4, 4]);
  const view = base.view([16]);
  const row = base.select(0, 1);
  expect(memory().bytes - before.bytes).toBe(64);
  base.dispose();
  view.dispose();
  expect(memory().bytes - before.bytes).toBe(64);
  expect(row.toArray()).toEqual([1, 1, 1, 1]);
  row.dispose();
  expect(memory().bytes).toBe(before.bytes);
});

test('an in-place operator that resizes or swaps a storage is weighed again', () => {
  expect(
    change(() => {
      const x = empty([2]);
      x.resize_([100]);
      return [x];
    }),
  ).toEqual({ tensors: 1, bytes: 400 });
  expect(
    change(() => {
      const x = empty([2]);
      const y = empty([50]);
      x.set_(y);
      return [x, y];
    }),
  ).toEqual({ tensors: 2, bytes: 200 });
});

test('parameters that move into an arena weigh what the arena weighs, and their own again when they leave it', () => {
  const parameters = [ones([30], { requiresGrad: true }), ones([5, 4], { requiresGrad: true })];
  const before = settledMemory();
  const [book, arena] = torch.ops.phantomgrad.book_attach(parameters, ['a', 'b']);
  expect(memory().bytes - before.bytes).toBe(4 * arena.numel - 4 * 50);
  torch.ops.phantomgrad.book_detach(book);
  arena.dispose();
  expect(memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  for (const parameter of parameters) parameter.dispose();
});

test('peak never falls below what is held', () => {
  tidy(() => {
    ones([1000]);
    expect(memory().peak).toBeGreaterThanOrEqual(memory().bytes);
  });
});
