// The gradient book seen from TypeScript: attached parameters, one backward pass, norms, clipped sums.

import { raise } from '../errors';
import { keep, noGrad, tensor, type Tensor, tidy, torch } from '../tensor';
import type { GradientMode } from './attached';
import { type Clip, type GroupAssignment, together } from './clip';

const ops = torch.ops.phantomgrad;

// A book that is dropped without close() gives its parameters back, once the collector gets to it.
const dropped = new FinalizationRegistry<number>((book) => ops.book_detach(book));

/**
 * Least factor that float32 kernels apply: they scale rows by it, and a factor below 2^-126 would have lost digits there, perhaps
 * upwards. Such a sample has a gradient of 2^100 C at least, and what its direction says is mostly rounding.
 */
const LEAST_FACTOR = 2 ** -100;

/** Per-sample gradient norms over some of the attached parameters. */
export interface Norms {
  /** `[B]` best estimate of the norm. */
  readonly norm: Float64Array;
  /** `[B]` certified: at least the exact norm of what will be summed. */
  readonly bound: Float64Array;
}

/** Per-sample gradient norms of one physical batch, of scaled gradients where there are scales: over all attached parameters and over parts. */
export interface SampleNorms extends Norms {
  /** `[G]` the same over each group of parameters; all of them without groups. */
  readonly groups: readonly Norms[];
  /** `[B]` best estimate of the norm over each parameter, by name. */
  readonly parameters: ReadonlyMap<string, Float64Array>;
}

export interface BookOptions {
  /** Parameters whose norms are taken together. Default: all. */
  readonly groups?: GroupAssignment;
  /** `[P]` what each parameter's gradients are multiplied by before anything is measured or summed. Default 1. */
  readonly scales?: readonly number[];
  /** False lets the operators keep what a plain sum needs: for training without privacy. Default true. */
  readonly norms?: boolean;
  /** Default `factors`. */
  readonly gradients?: GradientMode;
}

/** A sum of per-sample gradients whose sensitivity is known: the only thing that noise is added to. */
export interface BoundedSum {
  /** `[n]` flat parameters, and `[n]` float64 sum over the samples added so far. */
  readonly parameters: Tensor;
  readonly sum: Tensor;
  /** Adding or removing one sample moves the sum by at most this. */
  readonly sensitivity: number;
}

/**
 * Collects uses instead of gradients while an engine is attached (gradients.md: a per-sample gradient is a list of factors).
 * Parameters become views of one flat arena until {@link close}.
 */
export class GradientBook {
  readonly names: readonly string[];
  readonly arena: Tensor;
  readonly sum: Tensor;
  /** As given, or all parameters in one. */
  readonly groups: GroupAssignment;
  readonly #book: number;
  readonly #leastFactor: number;
  #open = true;

  /**
   * @param parameters  Trainable leaves by dotted name, each once.
   * @param options.groups  Of these very parameters, in their order.
   * @throws ERR_INVALID_ARGUMENT, ERR_ENGINE_STATE when a parameter is already attached: then nothing has changed.
   */
  constructor(
    parameters: ReadonlyMap<string, Tensor>,
    { groups, scales = [], norms = true, gradients = 'factors' }: BookOptions = {},
  ) {
    this.names = [...parameters.keys()];
    this.groups = groups ?? together(this.names);
    [this.#book, this.arena] = ops.book_attach([...parameters.values()], this.names);
    dropped.register(this, this.#book, this);
    this.#leastFactor = this.arena.dtype === 'float32' ? LEAST_FACTOR / Math.min(1, ...scales) : 0;
    keep(this.arena);
    this.sum = keep(ops.book_gradient(this.#book));
    try {
      ops.book_want_norms(this.#book, norms);
      ops.book_materialise(this.#book, gradients === 'materialize');
      if (this.groups.groups.length > 1) ops.book_set_groups(this.#book, [...this.groups.groupOf]);
      if (scales.some((scale) => scale !== 1)) ops.book_set_scales(this.#book, [...scales]);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * One backward pass that records the uses of every parameter.
   *
   * @param loss  `[B]`.
   * @param token  Of the batch that the loss must come from; 0 accepts any.
   */
  backward(loss: Tensor, token: number): void {
    ops.book_backward(this.#book, loss, token);
  }

  /** Throws ERR_SAMPLES_MIXED when the gradients of the chosen samples reach the rows of others. Keeps the graph. */
  checkAttribution(loss: Tensor, chosen: readonly boolean[]): void {
    const complaint = ops.book_check_attribution(this.#book, loss, chosen.map(Number));
    if (complaint === '') return;
    raise(
      'ERR_SAMPLES_MIXED',
      `step: ${complaint}. Per-sample clipping cannot bound such a loss: remove batch normalisation, in-batch negatives and ` +
        `means over the batch, and give every operator rows of one sample only.`,
    );
  }

  /** Parameters without a use in the last backward pass. */
  unused(): string[] {
    return ops.book_unused(this.#book).map((slot) => this.names[slot] as string);
  }

  /** Norms of the uses of the last backward pass. */
  norms(): SampleNorms {
    const [norm, bound, squares] = tidy(
      () => ops.book_norms(this.#book).map((t) => t.toTypedArray()) as [Float64Array, Float64Array, Float64Array],
    );
    const count = this.groups.groups.length;
    const groups = rows(norm, count).map((part, g) => ({ norm: part, bound: rows(bound, count)[g] as Float64Array }));
    const parameters = rows(squares, this.names.length).map(
      (row, slot) => [this.names[slot] as string, row.map(Math.sqrt)] as const,
    );
    return { ...wholeOf(groups), groups, parameters: new Map(parameters) };
  }

  /**
   * Adds to {@link sum}, over all samples and groups, factors[g][b] times what sample b's gradient has in group g, and drops the
   * uses. A sample whose factor is too small for the parameters' type in one group adds nothing to that group.
   *
   * @param factors  `[G][B]`.
   */
  add(factors: readonly Float64Array[]): void {
    tidy(() => {
      const samples = factors[0]?.length ?? 0;
      const flat = new Float64Array(factors.length * samples);
      factors.forEach((row, g) =>
        flat.set(
          row.map((factor) => (factor < this.#leastFactor ? 0 : factor)),
          g * samples,
        ),
      );
      const shape = factors.length === 1 ? [samples] : [factors.length, samples];
      ops.book_accumulate(this.#book, tensor(flat, { dtype: 'float64', shape }));
    });
  }

  /** The sum as something that noise may be added to. */
  bounded(clip: Clip): BoundedSum {
    return { parameters: this.arena, sum: this.sum, sensitivity: clip.maxGradNorm };
  }

  /** Forgets the uses and what has been summed since the last update. */
  discard(): void {
    ops.book_discard(this.#book);
    noGrad(() => this.sum.zero_());
  }

  /** Call after every update: graphs that were made before it are refused from then on. */
  parametersChanged(): void {
    ops.book_parameters_changed(this.#book);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    dropped.unregister(this);
    ops.book_detach(this.#book);
    this.arena.dispose();
    this.sum.dispose();
  }
}

/** The rows of a flat matrix. */
function rows(flat: Float64Array, count: number): Float64Array[] {
  const length = flat.length / count;
  return Array.from({ length: count }, (_, row) => flat.subarray(row * length, (row + 1) * length));
}

// Groups have no parameter in common: squares add up.
function wholeOf(groups: readonly Norms[]): Norms {
  const [only] = groups;
  if (groups.length === 1 && only !== undefined) return only;
  const whole = (kind: keyof Norms): Float64Array =>
    Float64Array.from({ length: only?.norm.length ?? 0 }, (_, b) =>
      Math.hypot(...groups.map((g) => g[kind][b] as number)),
    );
  return { norm: whole('norm'), bound: whole('bound').map((bound) => bound * (1 + 2 ** -40)) }; // roundings of hypot
}
