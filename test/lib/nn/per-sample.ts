// The law of every layer: values are LibTorch's, norms and clipped sums those of one-sample-at-a-time autograd, in float64.

import { type Module, Segments, withSegments } from '../../../lib/nn';
import { noGrad, type Tensor, tensor } from '../../../lib/tensor';
import { type Parameters, sampleSums, withBook } from '../../csrc/ops/book';
import { expectCertified, expectClose, expectNear, norm } from '../../csrc/ops/numbers';
import type { Random } from '../../csrc/ops/random';

/** What a layer gives: a row for each of its input's, and perhaps something for each sample. */
export interface Outcome {
  /** `[N, ...]` for the batch, or one sample's rows; null for a sample without rows. */
  readonly rows: Tensor | null;
  /** `[B, ...]` for the batch, or one sample's alone. */
  readonly single?: Tensor;
}

export interface Case {
  /** float64; its parameters are overwritten. */
  readonly module: Module;
  /** Rows of each sample. */
  readonly at: readonly number[];
  /** Whether `ours` runs inside segments; else the first dimension of its input counts samples. */
  readonly packed: boolean;
  readonly ours: () => Outcome;
  /** Sample `b` alone, by LibTorch's operators, with the parameters `p`. */
  readonly plain: (p: Parameters, b: number) => Outcome;
}

/** A loss of rows that treats every entry differently. */
const rowLoss = (y: Tensor): Tensor => y.sin().mul(y.add(2)).sum([1]);
const flat = (y: Tensor, rows: number): Tensor => y.reshape([rows, y.numel / Math.max(rows, 1)]);

/** Checks both laws, with normal parameters and uniform factors. */
export function expectPerSample({ module, at, packed, ours, plain }: Case, random: Random): void {
  const parameters = Object.fromEntries(module.namedParameters());
  for (const p of Object.values(parameters))
    noGrad(() => p.copy_(tensor(random.normals(p.numel, 1 / Math.sqrt(p.shape[1] ?? 1)), { shape: p.shape })));
  const trained = Object.fromEntries(Object.entries(parameters).filter(([, p]) => p.requiresGrad));
  const samples = at.length - 1;

  const truth = Array.from({ length: samples }, (_, b) => {
    const own = Object.fromEntries(
      Object.entries(parameters).map(([name, p]) => [name, p.detach().clone().requiresGrad_(p.requiresGrad)]),
    );
    const { rows, single } = plain(own, b);
    const length = at[b + 1]! - at[b]!;
    const parts = [...(rows === null ? [] : [flat(rows, length)]), ...(single === undefined ? [] : [flat(single, 1)])];
    const loss = parts.map((part) => rowLoss(part).sum()).reduce<Tensor | null>((a, b) => a?.add(b) ?? b, null);
    if (loss?.requiresGrad === true) loss.backward();
    const gradients = Object.keys(trained).map(
      (name) => (own[name]!.grad?.toTypedArray() as Float64Array | undefined) ?? new Float64Array(own[name]!.numel),
    );
    return { values: parts.flatMap(values), gradients };
  });

  withBook(trained, (book) => {
    using segments = new Segments(BigInt64Array.from(at, BigInt), undefined, 0, 0);
    const run = (): Tensor => {
      const { rows, single } = ours();
      const out = flat(rows!, at[samples]!);
      truth.forEach((sample, b) => {
        const got = values(out.narrow(0, at[b]!, at[b + 1]! - at[b]!));
        if (single !== undefined) got.push(...values(flat(single, samples).narrow(0, b, 1)));
        const scale = Math.max(1, ...sample.values.map(Math.abs));
        expectClose(got, sample.values, { absolute: 1e-12 * scale, what: `value of sample ${b}` });
      });
      const losses = sampleSums(rowLoss(out), at);
      return single === undefined ? losses : losses.add(rowLoss(flat(single, samples)));
    };
    const factors = truth.map(() => random.uniform());
    const norms = book.backward(packed ? withSegments(segments, run) : run()).norms();
    const sums = book.accumulate(factors).sums();
    const exact = truth.map(({ gradients }) => norm(gradients.map(norm)));
    // Gradients that cancel to nothing leave rounding of the terms, which are of size 1.
    const largest = Math.max(...exact, 0.1);
    for (const [slot, name] of Object.keys(trained).entries()) {
      const own = truth.map(({ gradients }) => gradients[slot]!);
      const norms2 = norms.norm2[name]!.map(Math.sqrt);
      expectClose(norms2, own.map(norm), { relative: 1e-11, absolute: 1e-9 * largest, what: `norm of ${name}` });
      const sum = new Float64Array(trained[name]!.numel);
      own.forEach((gradient, b) => gradient.forEach((x, i) => (sum[i]! += factors[b]! * x)));
      expectNear(sums[name]!, sum, 1e-12, { scale: largest * (samples + 1), what: `sum of ${name}` });
    }
    expectCertified(
      norms.bound,
      exact.map((n) => Math.max(0, n * (1 - 1e-11) - 1e-12 * largest)),
      { floor: 1e-9 * largest },
    );
  });
}

function values(x: Tensor): number[] {
  return [...(x.detach().contiguous().toTypedArray() as Float64Array)];
}

/** A batch without a scope: every sample is one row of the first dimension. */
export const oneEach = (samples: number): number[] => Array.from({ length: samples + 1 }, (_, b) => b);

/** Rows of sample `b`. */
export const own = (x: Tensor, at: readonly number[], b: number): Tensor => x.narrow(0, at[b]!, at[b + 1]! - at[b]!);

/** float64 normal values. */
export const normals = (random: Random, ...shape: number[]): Tensor =>
  tensor(random.normals(shape.reduce((product, size) => product * size, 1)), { shape });
