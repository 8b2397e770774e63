// The gradient book seen from TypeScript: attached parameters, one backward pass, norms, clipped sums.

import { raise } from '../errors';
import { keep, noGrad, tensor, type Tensor, tidy, torch } from '../tensor';
import type { Clip } from './clip';

const ops = torch.ops.phantomgrad;

/** Per-sample gradient norms of one physical batch, over all attached parameters. */
export interface SampleNorms {
  /** `[B]` best estimate of the norm. */
  readonly norm: Float64Array;
  /** `[B]` certified: at least the exact norm of what will be summed. */
  readonly bound: Float64Array;
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
  readonly #book: number;
  #open = true;

  /**
   * @param parameters  Trainable leaves by dotted name, each once.
   * @throws ERR_INVALID_ARGUMENT, ERR_ENGINE_STATE when a parameter is already attached: then nothing has changed.
   */
  constructor(parameters: ReadonlyMap<string, Tensor>) {
    this.names = [...parameters.keys()];
    [this.#book, this.arena] = ops.book_attach([...parameters.values()], this.names);
    keep(this.arena);
    this.sum = keep(ops.book_gradient(this.#book));
  }

  /** Without norms the operators keep what a plain sum needs: for training without privacy. */
  wantNorms(wanted: boolean): void {
    ops.book_want_norms(this.#book, wanted);
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

  /** Throws ERR_SAMPLES_MIXED when the gradient of `sample` reaches the rows of another one. Keeps the graph. */
  checkAttribution(loss: Tensor, sample: number): void {
    const complaint = ops.book_check_attribution(this.#book, loss, sample);
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

  norms(): SampleNorms {
    return tidy(() => {
      const [norm, bound] = ops.book_norms(this.#book);
      return { norm: norm.toTypedArray() as Float64Array, bound: bound.toTypedArray() as Float64Array };
    });
  }

  /** Adds Σ_b factors[b] G_b to {@link sum} and drops the uses. */
  add(factors: Float64Array): void {
    tidy(() => {
      ops.book_accumulate(this.#book, tensor(factors, { dtype: 'float64' }));
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
    ops.book_detach(this.#book);
    this.arena.dispose();
    this.sum.dispose();
  }
}
