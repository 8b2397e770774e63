// Inputs and outputs of kernels: outputs start as NaN between red zones that must stay as they are.

import { createHash } from 'node:crypto';

import { full, fromTypedArray, type Tensor } from '../../../lib/tensor';
import type { Kit } from './kit';

export const doubles = (values: ArrayLike<number>, shape = [values.length]): Tensor =>
  fromTypedArray(Float64Array.from(values), shape);
export const longs = (values: ArrayLike<number>): Tensor =>
  fromTypedArray(
    BigInt64Array.from(values, (x) => BigInt(x)),
    [values.length],
  );
export const bytes = (values: ArrayLike<number>): Tensor => fromTypedArray(Uint8Array.from(values), [values.length]);

export const numbers = (t: Tensor): Float64Array => t.to('float64').toTypedArray() as Float64Array;

/** A digest of every bit of each tensor, for comparisons. Which NaN it is counts for nothing: devices differ. */
export const bits = (kit: Kit, tensors: readonly Tensor[]): string[] =>
  tensors.map((t) => {
    const array = kit.back(t).toTypedArray();
    if (array instanceof Float32Array || array instanceof Float64Array)
      for (let i = 0; i < array.length; i++) if (Number.isNaN(array[i])) array[i] = Number.NaN;
    const all = Buffer.from(array.buffer, array.byteOffset, array.byteLength);
    return createHash('sha256').update(all).digest('hex');
  });

const ZONE = 64;

/** A place for output: `tensor` is full of NaN, the memory before and behind it of a number that must survive. */
export class Guarded {
  readonly tensor: Tensor;
  readonly #whole: Tensor;

  constructor(
    private readonly kit: Kit,
    private readonly count: number,
    dtype: 'float32' | 'float64' | 'int64' = 'float64',
    fill = Number.NaN,
  ) {
    this.#whole = kit.on(full([count + 2 * ZONE], 12345, { dtype }));
    this.tensor = this.#whole.narrow(0, ZONE, count);
    this.tensor.fill_(dtype === 'int64' ? 777 : fill);
  }

  /** @throws when the memory around the output has changed */
  check(): void {
    const all = numbers(this.kit.back(this.#whole));
    for (let i = 0; i < all.length; i++)
      if ((i < ZONE || i >= ZONE + this.count) && all[i] !== 12345)
        throw new Error(`element ${i - ZONE} of an output of ${this.count} was written: ${all[i]}`);
  }

  /** The output as numbers; NaN where nothing was written. */
  values(): Float64Array {
    this.check();
    return numbers(this.kit.back(this.tensor));
  }
}

/** Runs `body` in every way of the kit and gives the first outcome. @throws when the bits differ */
export function everyWay(kit: Kit, body: () => readonly Tensor[]): readonly Tensor[] {
  const results = kit.ways.map((way) => way(body));
  const [first, ...others] = results.map((tensors) => bits(kit, tensors));
  others.forEach((other, i) => {
    if (String(other) !== String(first)) throw new Error(`${kit.name}: way ${i + 1} gave other bits than way 0`);
  });
  const law = expect.getState().currentTestName ?? '';
  kit.trace.set(law, [...(kit.trace.get(law) ?? []), ...first!]);
  return results[0]!;
}
