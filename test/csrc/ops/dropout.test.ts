// Dropout is keyed by (seed, step, site, sample): packing, micro-batches and threads cannot change what is dropped.

import { fc, test as property } from '@fast-check/jest';
import { numThreads, ones, setNumThreads, type Tensor, tensor, torch } from '../../../lib/tensor';
import { ints } from './book';
import { Random } from './random';
import { offsets, seed, SEEDED } from './shapes';

const ops = torch.ops.phantomgrad;
const D = 7;

interface Key {
  readonly seed: number;
  readonly step: number;
  readonly site: number;
}

const drop = (x: Tensor, p: number, at: readonly number[], keys: readonly number[], key: Key): Tensor =>
  ops.dropout(x, p, { ...key, cu_seqlens: ints(at), sample_keys: ints(keys) });

/** 1 where an element of ones survives. */
const mask = (rows: number, p: number, at: readonly number[], keys: readonly number[], key: Key): number[] =>
  (drop(ones([rows, D]), p, at, keys, key).toArray() as number[][]).flat().map((x) => Number(x !== 0));

const key = fc.record({
  seed: fc.integer({ min: 0 }),
  step: fc.integer({ min: 0 }),
  site: fc.integer({ min: 0, max: 100 }),
});
const rate = fc.constantFrom(0.1, 0.5, 0.9);

property.prop([offsets(), rate, key, seed], { ...SEEDED, numRuns: 60 })(
  'a sample is dropped the same way alone, in any batch, at any place and with any number of threads',
  (at, p, k, start) => {
    const random = new Random(start);
    const keys = at.slice(1).map(() => random.below(1_000_000));
    const rows = at[at.length - 1]!;
    const whole = mask(rows, p, at, keys, k);
    const threads = numThreads();
    setNumThreads(threads === 1 ? 2 : 1);
    expect(mask(rows, p, at, keys, k)).toEqual(whole);
    setNumThreads(threads);
    keys.forEach((own, b) => {
      const count = at[b + 1]! - at[b]!;
      const mine = whole.slice(at[b]! * D, at[b + 1]! * D);
      expect(mask(count, p, [0, count], [own], k)).toEqual(mine);
      // Behind another sample, and before an empty one.
      expect(mask(count + 3, p, [0, 3, 3 + count, 3 + count], [5, own, 6], k).slice(3 * D)).toEqual(mine);
    });
  },
);

test.each([0.01, 0.1, 0.5, 0.9])(
  'at a rate of %d that share is dropped, within four standard errors, and what stays is scaled',
  (p) => {
    const rows = 40_000;
    const at = Array.from({ length: 101 }, (_, b) => 400 * b);
    const kept = mask(
      rows,
      p,
      at,
      at.slice(1).map((_, b) => b),
      { seed: 1, step: 2, site: 3 },
    );
    const share = kept.reduce((x, y) => x + y, 0) / kept.length;
    expect(Math.abs(share - (1 - p))).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / kept.length));
    const values = new Set(
      (drop(ones([10, D]), p, [0, 10], [1], { seed: 1, step: 2, site: 3 }).toArray() as number[][]).flat(),
    );
    for (const value of values) if (value !== 0) expect(value).toBe(Math.fround(1 / (1 - p)));
  },
);

test('seed, step, site, sample and element each change the mask, and masks that differ are independent', () => {
  const rows = 3000;
  const base = { seed: 9, step: 4, site: 2 };
  const one = mask(rows, 0.5, [0, rows], [7], base);
  const others = [
    mask(rows, 0.5, [0, rows], [8], base),
    ...(['seed', 'step', 'site'] as const).map((part) =>
      mask(rows, 0.5, [0, rows], [7], { ...base, [part]: base[part] + 1 }),
    ),
    [...one.slice(1), one[0]!],
    // Swapped keys: a sum of the parts would not tell them apart.
    mask(rows, 0.5, [0, rows], [7], { seed: 4, step: 9, site: 2 }),
  ];
  for (const other of others) {
    const equal = other.filter((x, i) => x === one[i]).length / one.length;
    expect(Math.abs(equal - 0.5)).toBeLessThan(4 * Math.sqrt(0.25 / one.length));
  }
});

property.prop([offsets(), rate, key, seed], { ...SEEDED, numRuns: 30 })(
  'the gradient passes through the very mask of the forward pass',
  (at, p, k, start) => {
    const random = new Random(start);
    const rows = at[at.length - 1]!;
    const keys = at.slice(1).map(() => random.below(1000));
    const x = tensor(random.normals(rows * D), { dtype: 'float64', shape: [rows, D], requiresGrad: true });
    const g = tensor(random.normals(rows * D), { dtype: 'float64', shape: [rows, D] });
    drop(x, p, at, keys, k).mul(g).sum().backward();
    expect(x.grad!.toArray()).toEqual(drop(g, p, at, keys, k).toArray());
  },
);

test('a rate of 0 changes nothing; rates outside [0, 1) and keys for other samples are refused', () => {
  const x = ones([4, 2]);
  const k = { seed: 1, step: 1, site: 1 };
  expect(drop(x, 0, [0, 4], [1], k).toArray()).toEqual(x.toArray());
  const refused = (action: () => unknown, code: string): void =>
    expect(action).toThrow(expect.objectContaining({ code }));
  for (const p of [1, -0.1, NaN]) refused(() => drop(x, p, [0, 4], [1], k), 'ERR_INVALID_ARGUMENT');
  refused(() => drop(x, 0.5, [0, 4], [1, 2], k), 'ERR_INVALID_ARGUMENT');
  refused(() => drop(x, 0.5, [0, 5], [1], k), 'ERR_BATCH_DIMENSION');
  const attend = (options: object): Tensor => ops.attention(x, x, x, ints([0, 4]), options);
  refused(() => attend({ dropout: 0.5 }), 'ERR_INVALID_ARGUMENT');
  refused(() => attend({ dropout: 1, sample_keys: ints([1]) }), 'ERR_INVALID_ARGUMENT');
  refused(() => attend({ heads: 3 }), 'ERR_INVALID_ARGUMENT');
  refused(() => ops.attention(x, x, x, ints([0, 3])), 'ERR_BATCH_DIMENSION');
});

describe('attention', () => {
  const at = [0, 5, 5, 37];
  const [rows, width] = [37, 6];
  const random = new Random(8);
  const make = (): Tensor => tensor(random.normals(rows * width), { dtype: 'float64', shape: [rows, width] });
  const [q, k, v, g] = [make(), make(), make(), make()];
  const options = { heads: 2, dropout: 0.3, seed: 5, step: 6, site: 7, sample_keys: ints([10, 11, 12]) };

  test('its dropout does not depend on packing', () => {
    const whole = ops.attention(q, k, v, ints(at), options).toArray() as number[][];
    [0, 1, 2].forEach((b) => {
      const [qb, kb, vb] = [q, k, v].map((t) => t.narrow(0, at[b]!, at[b + 1]! - at[b]!)) as [Tensor, Tensor, Tensor];
      const alone = ops.attention(qb, kb, vb, ints([0, at[b + 1]! - at[b]!]), {
        ...options,
        sample_keys: ints([10 + b]),
      });
      expect(alone.toArray()).toEqual(whole.slice(at[b], at[b + 1]));
    });
  });

  test('heads drop different weights, and on average the share that was asked for', () => {
    // Keys of zeros give equal weights; values of one-hot rows make the output the weights themselves.
    const n = 64;
    const zero = torch.zeros([n, 2 * n], { dtype: 'float64' });
    const one = torch.ops.aten.eye(n, { dtype: 'float64' });
    const weights = ops.attention(zero, zero, torch.ops.aten.cat([one, one], 1), ints([0, n]), {
      ...options,
      causal: false,
      sample_keys: ints([3]),
    });
    const kept = (weights.toArray() as number[][]).flat().map((x) => Number(x !== 0));
    const share = kept.reduce((x, y) => x + y, 0) / kept.length;
    expect(Math.abs(share - 0.7)).toBeLessThan(4 * Math.sqrt(0.21 / kept.length));
    const [left, right] = weights.split(n, 1).map((t) => JSON.stringify(t.ne(0).toArray()));
    expect(left).not.toBe(right);
  });

  test('with dropout its gradients are those of finite differences', () => {
    const inputs = [q, k, v];
    const value = (): number => ops.attention(q, k, v, ints(at), options).mul(g).sum().item();
    const leaves = inputs.map((t) => t.clone().requiresGrad_());
    ops.attention(leaves[0]!, leaves[1]!, leaves[2]!, ints(at), options).mul(g).sum().backward();
    const step = 1e-5;
    inputs.forEach((input, which) => {
      for (const [row, column] of [
        [0, 0],
        [4, 5],
        [5, 2],
        [20, 3],
        [36, 1],
      ] as const) {
        const cell = input.select(0, row).narrow(0, column, 1);
        cell.add_(step);
        const above = value();
        cell.sub_(2 * step);
        const below = value();
        cell.add_(step);
        const slope = (leaves[which]!.grad!.toArray() as number[][])[row]![column]!;
        expect(Math.abs(slope - (above - below) / (2 * step))).toBeLessThan(1e-8);
      }
    });
  });
});
