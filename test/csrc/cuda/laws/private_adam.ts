// Laws of the private update on a device: the CPU kernel's bits, every way of running it, nothing beyond the arena.

import { fromTypedArray, type Tensor, torch } from '../../../../lib/tensor';
import { values } from '../../private_update_support';
import { bits, doubles, Guarded, longs } from '../arrays';
import type { Kit } from '../kit';

const CASES = [
  { count: 1, dtype: 'float32', noise: 1, floor: 0, runs: [] },
  { count: 160, dtype: 'float32', noise: 0.5, floor: 0, runs: [] },
  { count: 161, dtype: 'float64', noise: 2.5, floor: 0, runs: [] },
  { count: 2579, dtype: 'float32', noise: 1, floor: 0, runs: [1000, 1007, 2579] },
  { count: 3333, dtype: 'float64', noise: 3, floor: 1e-12, runs: [17, 3333] },
  { count: 2560, dtype: 'float32', noise: 0, floor: 0, runs: [] },
  { count: 777, dtype: 'float32', noise: 0, floor: 0, runs: [400, 777] },
  { count: 1281, dtype: 'float32', noise: 1.5, floor: 1e-10, runs: [] },
] as const;

type Case = (typeof CASES)[number];

const stream = (seed: number): Tensor =>
  fromTypedArray(
    Int32Array.from({ length: 11 }, (_, i) => Math.imul(seed + i, 0x9e3779b1) | 0),
    [11],
  );

/** AdamConstants of shared/adam.h beyond beta1, beta2, eps: as csrc/ops/private_update.cc computes them. */
function constants(step: number, floor: number): number[] {
  const [lr, decay] = [1e-2, 0.01];
  const correction2 = 1 - 0.999 ** step;
  return [0.9, 0.999, 1e-8, lr / (1 - 0.9 ** step), Math.sqrt(correction2), correction2, decay, lr * decay, floor];
}

/** State of an arena on the kit's device, in red zones. */
function arena(kit: Kit, { count, dtype }: Case): Guarded[] {
  const fields = [
    [1, dtype],
    [0.1, dtype],
    [0.01, dtype],
    [5, 'float64'],
  ] as const;
  return fields.map(([scale, type], i) => {
    const field = new Guarded(kit, count, type);
    const start = values(count, scale, 31 * i + count);
    field.tensor.copy_(kit.on(doubles(i === 2 ? start.map(Math.abs) : start).to(type)));
    return field;
  });
}

const lists = (runs: readonly number[]): [Tensor, Tensor, Tensor] => [
  longs(runs),
  doubles(runs.map((_, k) => 2 ** (k - 1))),
  doubles(runs.map((_, k) => 0.5 + k)),
];

function settings(c: Case): [number, number, number] {
  return [c.noise, c.noise === 0 ? 0 : 2 ** (Math.floor(Math.log2(c.noise)) - 8), 16];
}

function run(kit: Kit, c: Case): Tensor[] {
  const state = arena(kit, c);
  const found = new Guarded(kit, Number(kit.kernels.private_adam_blocks!(c.count)), 'int64');
  const profile = c.runs.length === 0 ? [null, null, null] : lists(c.runs).map(kit.on);
  const tensors = state.map(({ tensor }) => tensor);
  kit.kernels.private_adam_!(
    ...tensors,
    c.noise === 0 ? null : kit.on(stream(c.count)),
    ...settings(c),
    ...constants(3, c.floor),
    ...profile,
    found.tensor,
  );
  [...state, found].forEach((field) => field.check());
  return [...tensors, found.tensor];
}

export function privateAdamLaws(kit: Kit): void {
  test.each(CASES.map((c) => [c.count, c.dtype, c.noise, c.floor, c.runs.length, c] as const))(
    'private_adam_ of %d %s (noise %d, floor %d, %d runs) has the bits of the CPU kernel in every way of running it',
    (_count, _dtype, _noise, _floor, _runs, c) => {
      const host = (torch.ops as unknown as Record<string, Record<string, (...args: unknown[]) => unknown>>)
        .phantomgrad_host!;
      const plain = { ...kit, on: (t: Tensor) => t, back: (t: Tensor) => t };
      const want = arena(plain, c).map(({ tensor }) => tensor);
      host.cpu_private_adam_!(...want, stream(c.count), ...settings(c), ...constants(3, c.floor), ...lists(c.runs));
      for (const way of kit.ways) {
        const got = way(() => run(kit, c));
        expect(bits(kit, got.slice(0, 4))).toEqual(bits(plain, want));
      }
    },
  );

  test('private_adam_ counts parameters that are not finite', () => {
    const c = { count: 500, dtype: 'float32', noise: 0, floor: 0, runs: [] } as const;
    const state = arena(kit, c as unknown as Case).map(({ tensor }) => tensor);
    state[3]!.narrow(0, 7, 2).fill_(Number.NaN);
    state[0]!.narrow(0, 499, 1).fill_(Number.POSITIVE_INFINITY);
    const blocks = Number(kit.kernels.private_adam_blocks!(500));
    const found = new Guarded(kit, blocks, 'int64');
    kit.kernels.private_adam_!(...state, null, 0, 0, 16, ...constants(1, 0), null, null, null, found.tensor);
    expect(found.values().reduce((a, b) => a + b, 0)).toBe(3);
  });

  test('privatise_ gives the gradient that private_adam_ takes in, and leaves the sum at zero', () => {
    const count = 1234;
    const start = doubles(values(count, 5, 9));
    const sum = new Guarded(kit, count);
    sum.tensor.copy_(kit.on(start));
    const out = new Guarded(kit, count);
    kit.kernels.privatise_!(sum.tensor, out.tensor, kit.on(stream(5)), 1, 2 ** -8, 16, null, null);
    // With beta1 = 0 the first moment is the gradient itself.
    const zeros = (): Guarded => new Guarded(kit, count, 'float64', 0);
    const [p, m, v, same] = [zeros(), zeros(), zeros(), zeros()];
    same.tensor.copy_(kit.on(start));
    const found = new Guarded(kit, Number(kit.kernels.private_adam_blocks!(count)), 'int64');
    const plain = [0, 0.999, 1e-8, 1e-2, 1, 1, 0, 0, 0];
    kit.kernels.private_adam_!(
      ...[p, m, v, same].map(({ tensor }) => tensor),
      kit.on(stream(5)), 1, 2 ** -8, 16, ...plain, null, null, null, found.tensor,
    ); // prettier-ignore
    // By value: a released zero may be -0, and 0 + -0 is 0.
    const [released, taken] = [out.values(), m.values()];
    expect(released.every((x, i) => x === taken[i])).toBe(true);
    expect(sum.values().every((x) => x === 0)).toBe(true);
  });

  test('a stream of the wrong length and an arena of mixed lengths are refused', () => {
    const [p, m, v, sum] = [0, 1, 2, 3].map(() => kit.on(doubles([1, 2, 3]))) as [Tensor, Tensor, Tensor, Tensor];
    const found = kit.on(longs([0]));
    const call = (parameters: Tensor, key: Tensor | null): unknown =>
      kit.kernels.private_adam_!(
        parameters,
        m,
        v,
        sum,
        key,
        1,
        2 ** -8,
        16,
        ...constants(1, 0),
        null,
        null,
        null,
        found,
      );
    expect(() => call(p, kit.on(stream(1).narrow(0, 0, 10)))).toThrow(/stream/);
    expect(() => call(p, null)).toThrow(/stream/);
    expect(() => call(kit.on(doubles([1, 2])), kit.on(stream(1)))).toThrow(/exp_avg/);
  });
}
