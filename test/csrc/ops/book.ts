// The gradient book as tests use it: attach, one backward pass, norms, sums by parameter, detach whatever happens.

import { tensor, torch, type Tensor } from '../../../lib/tensor';

const ops = torch.ops.phantomgrad;

export type Parameters = Readonly<Record<string, Tensor>>;

export interface Norms {
  readonly norm: number[];
  readonly bound: number[];
  /** Squared norm of each sample, by parameter. */
  readonly norm2: Readonly<Record<string, number[]>>;
}

export class OpenBook {
  readonly id: number;
  readonly arena: Tensor;
  readonly names: string[];
  readonly #sizes: number[];

  constructor(parameters: Parameters) {
    this.names = Object.keys(parameters);
    const list = Object.values(parameters);
    [this.id, this.arena] = ops.book_attach(list, this.names);
    this.#sizes = list.map((p) => p.numel);
  }

  /** Whether operators keep what norms need. */
  wantNorms(wanted: boolean): this {
    ops.book_want_norms(this.id, wanted);
    return this;
  }

  /** Every per-sample gradient formed in float64 from the factors that the operators keep. */
  materialise(wanted: boolean): this {
    ops.book_materialise(this.id, wanted);
    return this;
  }

  backward(loss: Tensor): this {
    ops.book_backward(this.id, loss);
    return this;
  }

  norms(): Norms {
    const [norm, bound, squares] = ops.book_norms(this.id);
    const rows = squares.toArray() as number[][];
    return {
      norm: (norm.toArray() as number[][])[0] as number[],
      bound: (bound.toArray() as number[][])[0] as number[],
      norm2: Object.fromEntries(this.names.map((name, slot) => [name, rows[slot] as number[]])),
    };
  }

  accumulate(factors: readonly number[]): this {
    ops.book_accumulate(this.id, tensor(Float64Array.from(factors)));
    return this;
  }

  /** The sum so far, all parameters end to end. */
  flat(): Float64Array {
    return ops.book_gradient(this.id).toTypedArray() as Float64Array;
  }

  /** The sum so far, by parameter. */
  sums(): Record<string, Float64Array> {
    const flat = this.flat();
    let at = 0;
    return Object.fromEntries(
      this.names.map((name, slot) => [name, flat.subarray(at, (at += this.#sizes[slot] as number))]),
    );
  }

  /** What has been summed is forgotten. */
  clear(): this {
    ops.book_gradient(this.id).zero_();
    return this;
  }
}

/** Attaches `parameters` while `body` runs. */
export function withBook<T>(parameters: Parameters, body: (book: OpenBook) => T): T {
  const book = new OpenBook(parameters);
  try {
    return body(book);
  } finally {
    ops.book_detach(book.id);
  }
}

/** Runs `body` inside the segments `offsets`; null: outside any scope. */
export function inSegments<T>(offsets: readonly number[] | null, body: () => T): T {
  ops.set_segments(offsets === null ? null : ints(offsets));
  try {
    return body();
  } finally {
    ops.set_segments(null);
  }
}

export function ints(values: readonly number[]): Tensor {
  return tensor(BigInt64Array.from(values, BigInt), { shape: [values.length] });
}

/** Which sample each row belongs to. */
export function owners(offsets: readonly number[]): Tensor {
  return ints(offsets.slice(1).flatMap((end, b) => Array.from({ length: end - offsets[b]! }, () => b)));
}

/** `[B]` sums of `values` `[N]` over the rows of each sample: rows of one sample never meet another's. */
export function sampleSums(values: Tensor, offsets: readonly number[]): Tensor {
  return torch.ops.aten.index_add(
    torch.zeros([offsets.length - 1], { dtype: values.dtype }),
    0,
    owners(offsets),
    values,
  );
}

/** A step from forward to sums, all factors 1 unless given. */
export function step(
  parameters: Parameters,
  offsets: readonly number[] | null,
  loss: () => Tensor,
  factors?: readonly number[],
): Norms & { sums: Record<string, Float64Array> } {
  return withBook(parameters, (book) => {
    const value = inSegments(offsets, loss);
    const norms = book.backward(value).norms();
    book.accumulate(factors ?? norms.norm.map(() => 1));
    // Copies: the book's memory goes with it.
    const sums = Object.fromEntries(Object.entries(book.sums()).map(([name, sum]) => [name, sum.slice()]));
    return { ...norms, sums };
  });
}

/** What each sample alone adds to the sum: `[B]` flat gradients as they are summed. */
export function contributions(
  parameters: Parameters,
  offsets: readonly number[] | null,
  loss: () => Tensor,
  samples: number,
): Float64Array[] {
  return Array.from({ length: samples }, (_, b) =>
    withBook(parameters, (book) => {
      book.backward(inSegments(offsets, loss)).norms();
      return book
        .accumulate(Array.from({ length: samples }, (_, i) => (i === b ? 1 : 0)))
        .flat()
        .slice();
    }),
  );
}
