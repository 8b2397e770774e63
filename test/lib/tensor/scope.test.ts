// Scopes free what was made inside them, keep what is returned, and never follow an await by themselves.

import { keep, memory, noGrad, ones, scope, type Tensor, tensor, tidy, tidyAsync, torch } from '../../../lib/tensor';
import { settledMemory } from '../../fixtures/collect';

/** Tensors that `body` leaves alive besides those that it returns, which are disposed here. */
function left(body: () => Tensor | Tensor[]): number {
  const before = settledMemory().tensors;
  const out = [body()].flat();
  for (const made of out) made.dispose();
  return memory().tensors - before;
}

test('tidy frees what it made and keeps what it returns', () => {
  const x = ones([3]);
  expect(left(() => tidy(() => x.mul(2).add(1).sum()))).toBe(0);
  const y = tidy(() => x.mul(2).add(1));
  expect(y.toArray()).toEqual([3, 3, 3]);
});

test('tidy finds returned tensors in arrays, objects, maps and sets, also when they refer to themselves', () => {
  type Knot = { a: Tensor; self?: Knot; inner: [Tensor]; map: Map<string, Tensor>; set: Set<Tensor> };
  expect(
    left(() => {
      const knot = tidy(() => {
        const out: Knot = {
          a: ones([1]),
          inner: [ones([2])],
          map: new Map([['k', ones([3])]]),
          set: new Set([ones([4])]),
        };
        out.self = out;
        ones([5]);
        return out;
      });
      const all = [knot.a, ...knot.inner, ...knot.map.values(), ...knot.set];
      expect(all.map((t) => t.numel)).toEqual([1, 2, 3, 4]);
      return all;
    }),
  ).toBe(0);
});

test('tensors from outside survive, even when an in-place operator returned them inside', () => {
  const x = ones([2]);
  tidy(() => {
    x.add_(1);
    expect(x.mul_(2)).toBe(x);
  });
  expect(x.toArray()).toEqual([4, 4]);
});

test('what an inner tidy returns belongs to the outer one', () => {
  expect(left(() => tidy(() => tidy(() => tidy(() => ones([2])).add(1)).add(1)))).toBe(0);
  let escaped: Tensor | undefined;
  tidy(() => {
    escaped = tidy(() => ones([2]));
    expect(escaped.disposed).toBe(false);
  });
  expect(escaped?.disposed).toBe(true);
});

test('keep takes a tensor out of every scope', () => {
  let kept: Tensor | undefined;
  tidy(() =>
    tidy(() => {
      kept = keep(ones([2]));
    }),
  );
  expect(kept?.disposed).toBe(false);
  kept?.dispose();
});

test('a tidy that throws frees everything, and passes the error on', () => {
  const before = settledMemory().tensors;
  expect(() =>
    tidy(() => {
      scope();
      ones([2]).add(ones([3]));
    }),
  ).toThrow('must match');
  expect(memory().tensors).toBe(before);
  const after = ones([1]);
  expect(after.disposed).toBe(false);
  expect(memory().tensors).toBe(before + 1);
  after.dispose();
});

test('tidy refuses a promise, and frees what was made before the first await', () => {
  const before = settledMemory().tensors;
  expect(() =>
    tidy(async () => {
      ones([2]);
      await Promise.resolve();
    }),
  ).toThrow('tidyAsync');
  expect(memory().tensors).toBe(before);
});

test('using frees a tensor, and a scope, at the end of its block', () => {
  const before = settledMemory().tensors;
  {
    using a = ones([2]);
    using s = scope();
    a.add(1).add(2);
    const kept = s.keep([a.mul(2)]);
    s.close();
    expect(kept[0]?.toArray()).toEqual([2, 2]);
    expect(memory().tensors).toBe(before + 2);
    kept[0]?.dispose();
  }
  expect(memory().tensors).toBe(before);
});

test('tidyAsync owns only what is made in run or given to track, across awaits and beside other tasks', async () => {
  const before = settledMemory().tensors;
  const outside: Tensor[] = [];
  const task = (value: number): Promise<Tensor> =>
    tidyAsync(async (own) => {
      const a = own.run(() => ones([2]).mul(value));
      await new Promise((resolve) => setImmediate(resolve));
      outside.push(ones([1]));
      const b = own.track(a.add(1));
      await new Promise((resolve) => setImmediate(resolve));
      return own.run(() => b.sum());
    });
  const results = await Promise.all([task(1), task(2), task(3)]);
  expect(results.map((t) => t.item())).toEqual([4, 6, 8]);
  expect(outside.every((t) => !t.disposed)).toBe(true);
  expect(memory().tensors).toBe(before + 6);
  for (const t of [...results, ...outside]) t.dispose();
});

test('tidyAsync frees everything when its body rejects', async () => {
  const before = settledMemory().tensors;
  await expect(
    tidyAsync(async (own) => {
      own.run(() => ones([2]));
      await Promise.resolve();
      throw new Error('halfway');
    }),
  ).rejects.toThrow('halfway');
  expect(memory().tensors).toBe(before);
});

test('a closed scope refuses new tensors', () => {
  const own = scope();
  own.close();
  expect(() => own.track(tensor([1]))).toThrow('closed');
  expect(() => own.run(() => 1)).toThrow('closed');
});

test('a training loop inside tidy leaves no tensor behind', () => {
  const w = torch.randn([4, 4], { requiresGrad: true });
  const step = (): number =>
    tidy(() => {
      const loss = w
        .matmul(torch.randn([4, 8]))
        .pow(2)
        .sum();
      loss.backward();
      noGrad(() => w.sub_(w.grad!.mul(1e-3)));
      w.grad = null;
      return loss.item();
    });
  step();
  const before = settledMemory().tensors;
  for (let i = 0; i < 50; i += 1) step();
  expect(memory().tensors).toBe(before);
});

test('a disposed view leaves its base, and a disposed base its views', () => {
  const base = torch.arange(6);
  const view = base.view([2, 3]);
  base.dispose();
  expect(view.toArray()).toEqual([
    [0, 1, 2],
    [3, 4, 5],
  ]);
  view.dispose();
});
