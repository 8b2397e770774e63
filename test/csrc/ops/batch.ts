// What a pattern is made from: a generated batch, leaves, and the truth by autograd, one sample at a time.

import { type Tensor, tensor } from '../../../lib/tensor';
import { ints, type Parameters } from './book';
import { makeIds, type Random, type Repetition } from './random';

/** What a model reads, as numbers. */
export interface Batch {
  readonly at: readonly number[];
  readonly ids: readonly number[];
  readonly others: readonly number[];
  readonly targets: readonly number[];
  readonly x: Float64Array; // [rows, d]
  readonly weights: readonly number[];
}

/** The same as tensors: a packed batch, or one sample's rows. */
export interface Inputs {
  readonly at: readonly number[];
  readonly ids: Tensor;
  readonly others: Tensor;
  readonly targets: Tensor;
  readonly x: Tensor;
  readonly weights: Tensor;
  readonly positions: Tensor;
}

export interface Pattern {
  readonly name: string;
  readonly shapes: (M: number, d: number) => Readonly<Record<string, readonly number[]>>;
  /** `[B]` losses. Runs inside the batch's segments. */
  readonly ours: (p: Parameters, batch: Inputs) => Tensor;
  /** The loss of the one sample in `sample`, without our operators. */
  readonly plain: (p: Parameters, sample: Inputs) => Tensor;
}

export function makeBatch(random: Random, at: readonly number[], M: number, d: number, kind: Repetition): Batch {
  const rows = at[at.length - 1]!;
  const below = (n: number): number => random.below(n);
  return {
    at,
    ids: makeIds(kind, rows, M, below),
    others: makeIds('few', rows, M, below),
    targets: Array.from({ length: rows }, () => random.below(M)),
    x: random.normals(rows * d),
    weights: Array.from({ length: rows }, () => random.pick([0, 1, 0.5])),
  };
}

/** Longest sample that has a position of its own. */
export const POSITIONS = 130;

export function inputs(batch: Batch, d: number, dtype: 'float32' | 'float64', samples?: readonly number[]): Inputs {
  const chosen = samples ?? batch.at.slice(1).map((_, b) => b);
  const rowsOf = chosen.map((b) => Array.from({ length: batch.at[b + 1]! - batch.at[b]! }, (_, t) => batch.at[b]! + t));
  const rows = rowsOf.flat();
  const take = (values: readonly number[]): number[] => rows.map((t) => values[t]!);
  return {
    at: rowsOf.reduce((at, own) => [...at, at[at.length - 1]! + own.length], [0]),
    ids: ints(take(batch.ids)),
    others: ints(take(batch.others)),
    targets: ints(take(batch.targets)),
    x: tensor(Float64Array.from(rows.flatMap((t) => [...batch.x.subarray(t * d, (t + 1) * d)])), {
      dtype,
      shape: [rows.length, d],
    }),
    weights: tensor(Float64Array.from(take(batch.weights)), { dtype }),
    positions: ints(rowsOf.flatMap((own) => own.map((_, t) => t))),
  };
}
/** Leaves of the pattern's shapes. */
export function makeParameters(
  { shapes }: Pattern,
  M: number,
  d: number,
  random: Random,
): Record<string, { shape: readonly number[]; values: Float64Array }> {
  return Object.fromEntries(
    Object.entries(shapes(M, d)).map(([name, shape]) => {
      const size = shape.reduce((x, y) => x * y, 1);
      return [name, { shape, values: random.normals(size, 1 / Math.sqrt(shape[1] ?? 1)) }];
    }),
  );
}

export function leaves(
  values: ReturnType<typeof makeParameters>,
  dtype: 'float32' | 'float64',
): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(values).map(([name, { shape, values: own }]) => [
      name,
      tensor(own, { dtype, shape, requiresGrad: true }),
    ]),
  );
}

/** Truth: the flat gradient of every sample, one at a time, by ordinary autograd in float64. */
export function plainGradients(
  pattern: Pattern,
  values: ReturnType<typeof makeParameters>,
  batch: Batch,
  d: number,
): Record<string, Float64Array>[] {
  return batch.at.slice(1).map((_, b) => {
    const parameters = leaves(values, 'float64');
    const sample = inputs(batch, d, 'float64', [b]);
    if (sample.x.shape[0]! > 0) pattern.plain(parameters, sample).backward();
    return Object.fromEntries(
      Object.entries(parameters).map(([name, p]) => [
        name,
        (p.grad?.toTypedArray() as Float64Array | undefined) ?? new Float64Array(p.numel),
      ]),
    );
  });
}
