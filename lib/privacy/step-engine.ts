// The way of one step, shared by private and plain training: loss, uses, factors, sum, update.

import { raise } from '../errors';
import { batchToken } from '../nn/segments';
import type { Optimizer, PrivateRelease } from '../optim';
import { type Tensor, tidy } from '../tensor';
import { BatchStream, type PackableData, type Packing, type PhysicalBatch, type Sampled } from './batch-stream';
import { GradientBook } from './gradient-book';
import type { RandomSource, Sampler } from './sampling';

/** What an engine needs to know of a model; every nn.Module fits. */
export interface TrainableModel {
  readonly training: boolean;
  namedParameters(): Iterable<readonly [string, Tensor]>;
  /** How batches for this model should be laid out. */
  packing?(): Packing;
}

/** Speed settings: they change how a step is cut into pieces, never ε, and the result only by rounding. */
export interface Performance {
  /** Memory for the rows of one physical batch, default 48 MiB. */
  readonly memoryBudget?: number;
}

export interface StepInput {
  /** `[samples]`, one entry a sample of the batch. */
  readonly loss: Tensor;
  /** The loss was multiplied by this; gradients are divided by it again. Default 1. */
  readonly lossScale?: number;
}

/** What `attach` adds to an optimizer. */
export interface AttachedSteps {
  /** Sums the clipped gradients of `loss`; at the end of a logical batch, updates the parameters. */
  step(input: StepInput): void;
  /** Sums the clipped gradients of `loss` without updating, for loops over batches of one's own. */
  virtualStep(input: StepInput): void;
}

export type Attached<O extends Optimizer> = Omit<O, 'step'> & AttachedSteps;

const DEFAULT_MEMORY = 48 * 2 ** 20;

export abstract class StepEngine {
  protected readonly stream: BatchStream<PhysicalBatch>;
  #book: GradientBook | null = null;
  #optimizer: Optimizer | null = null;
  #locked = false;
  #steps = 0;
  #samplesInStep = 0;
  #checked = false;
  #unused: Set<string> | null = null;

  protected constructor(
    protected readonly model: TrainableModel,
    protected readonly sampler: Sampler,
    protected readonly records: number,
    protected readonly plannedSteps: number,
    random: RandomSource,
    protected readonly performance: Performance,
    private readonly attributionCheck: boolean,
  ) {
    this.stream = new BatchStream(sampler, records, random);
  }

  /** Complete logical steps so far. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * Takes over `optimizer`: its `step` now takes the per-sample loss. The model's trainable parameters become views of one flat
   * arena; re-binding them (loading, casting) is refused until {@link detach}.
   *
   * @throws ERR_ENGINE_STATE when an engine is attached already. @throws ERR_INVALID_ARGUMENT when the optimizer holds other
   *   parameters than the model's trainable ones.
   */
  attach<O extends Optimizer>(optimizer: O): Attached<O> {
    if (this.#book !== null) raise('ERR_ENGINE_STATE', 'attach: this engine is attached already. Call detach() first.');
    const parameters = new Map([...this.model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad));
    const given = new Set(optimizer.parameters);
    const missing = [...parameters].find(([, parameter]) => !given.has(parameter));
    if (missing !== undefined || given.size !== parameters.size) {
      raise(
        'ERR_INVALID_ARGUMENT',
        `attach: the optimizer must hold exactly the model's trainable parameters, got ${given.size} for ${parameters.size}` +
          `${missing === undefined ? '' : `; ${missing[0]} is not among them`}. Freeze parameters with requiresGrad_(false).`,
      );
    }
    this.#book = new GradientBook(parameters);
    this.configure(this.#book);
    this.#optimizer = optimizer;
    return Object.assign(optimizer, {
      step: (input: StepInput) => this.step(input),
      virtualStep: (input: StepInput) => this.virtualStep(input),
    }) as unknown as Attached<O>;
  }

  /** Gives the optimizer its own `step` back and the parameters memory of their own. */
  detach(): void {
    if (this.#book === null) return;
    const optimizer = this.#optimizer as Optimizer & Partial<AttachedSteps>;
    Reflect.deleteProperty(optimizer, 'step');
    Reflect.deleteProperty(optimizer, 'virtualStep');
    this.#book.close();
    this.#book = null;
    this.#optimizer = null;
    this.stream.consume();
  }

  /** Refuses steps until {@link unlock}, so that gradients and statistics stay as they are. */
  lock(): void {
    this.#locked = true;
  }

  unlock(): void {
    this.#locked = false;
  }

  /**
   * Physical batches up to the last planned step, drawn by the sampler. Give the loss of each to `optimizer.step`.
   *
   * @throws ERR_INVALID_ARGUMENT when `data` has another number of records than the plan.
   */
  batches<B extends PhysicalBatch>(data: PackableData<B>): Generator<Sampled<B>, void, void> {
    const packing = this.model.packing?.() ?? { bytesPerRow: 2 ** 16 };
    const { bytesPerRow, ...layout } = packing;
    const rowBudget = Math.max(1, Math.floor((this.performance.memoryBudget ?? DEFAULT_MEMORY) / bytesPerRow));
    return (this.stream as unknown as BatchStream<B>).draw(data, { ...layout, rowBudget }, () =>
      this.#steps < this.plannedSteps ? this.#steps : null,
    );
  }

  step(input: StepInput): void {
    const batch = this.stream.outstanding;
    this.#add('step', input);
    if (batch === null || batch.completesStep) this.#finish();
  }

  virtualStep(input: StepInput): void {
    const batch = this.stream.outstanding;
    if (batch?.completesStep === true) {
      raise('ERR_ENGINE_STATE', 'virtualStep: this batch completes a logical step. Give its loss to step.');
    }
    this.#add('virtualStep', input);
  }

  /** Whatever the kind of training wants to set on a new book. */
  protected abstract configure(book: GradientBook): void;
  /** Refuses a step that must not be taken, before anything has been computed. */
  protected abstract admit(): void;
  /** `[B]` factor of each sample; 0 drops it. `finite(b)` says whether its loss is. */
  protected abstract factors(
    book: GradientBook,
    finite: (sample: number) => boolean,
    lossScale: number,
    samples: number,
  ): Float64Array;
  /** Pays for the update and says how the sum is published. */
  protected abstract release(book: GradientBook): PrivateRelease;
  protected abstract finished(): void;

  #add(operation: string, { loss, lossScale = 1 }: StepInput): void {
    const book = this.#ready(operation);
    const batch = this.stream.outstanding;
    if (batch === null && 'draw' in this.sampler) {
      raise(
        'ERR_BATCH_NOT_SAMPLED',
        `${operation}: there is no batch of engine.batches() that this loss could belong to.`,
      );
    }
    checkLoss(operation, loss, batch);
    if (!(Number.isFinite(lossScale) && lossScale > 0)) {
      raise('ERR_INVALID_ARGUMENT', `${operation}: lossScale must be a finite number above 0, got ${lossScale}.`);
    }
    if (this.#samplesInStep === 0) this.admit();
    const samples = loss.shape[0] as number;
    if (samples > 0 && loss.requiresGrad) this.#record(book, loss, lossScale, batch === null ? 0 : batchToken(batch));
    this.#samplesInStep += samples;
    this.stream.consume();
  }

  #record(book: GradientBook, loss: Tensor, lossScale: number, token: number): void {
    const values = tidy(() => loss.detach().to('float64').toTypedArray() as Float64Array);
    if (!this.#checked && this.attributionCheck) {
      for (const sample of new Set([0, values.length - 1])) book.checkAttribution(loss, sample);
    }
    book.backward(loss, token);
    if (!this.#checked) {
      const unused = book.unused();
      this.#unused = new Set(this.#unused === null ? unused : unused.filter((name) => this.#unused?.has(name)));
    }
    book.add(this.factors(book, (b) => Number.isFinite(values[b]), lossScale, values.length));
  }

  #finish(): void {
    const book = this.#book as GradientBook;
    this.#checkUses(book);
    const release = this.release(book);
    const optimizer = this.#optimizer as Optimizer;
    const notFinite = optimizer.applyPrivate({ parameters: book.arena, sum: book.sum }, release);
    book.parametersChanged();
    this.#steps += 1;
    this.#samplesInStep = 0;
    this.finished();
    if (notFinite > 0) {
      raise(
        'ERR_NOT_FINITE',
        `step: ${notFinite} parameters are not finite after step ${this.#steps}. Lower the learning rate.`,
      );
    }
  }

  // A parameter that never gets a use is an error, not a frozen one: it would receive noise for nothing.
  #checkUses(book: GradientBook): void {
    if (this.#checked || this.#unused === null) return;
    const [name] = this.#unused;
    if (name !== undefined) {
      book.discard();
      this.#unused = null;
      this.#samplesInStep = 0;
      raise(
        'ERR_PARAMETER_UNUSED',
        `step: parameter ${name} did not take part in the loss. Freeze it with requiresGrad_(false).`,
      );
    }
    this.#checked = true;
  }

  #ready(operation: string): GradientBook {
    if (this.#book === null)
      return raise('ERR_ENGINE_STATE', `${operation}: the engine is not attached to an optimizer.`);
    if (this.#locked) return raise('ERR_ENGINE_STATE', `${operation}: the engine is locked. Call unlock() first.`);
    if (!this.model.training)
      return raise('ERR_ENGINE_STATE', `${operation}: the model is in evaluation mode. Call model.train() first.`);
    return this.#book;
  }
}

function checkLoss(operation: string, loss: Tensor, batch: PhysicalBatch | null): void {
  if (loss.shape.length !== 1 || (batch !== null && loss.shape[0] !== batch.samples)) {
    raise(
      'ERR_LOSS_SHAPE',
      `${operation}: the loss must have one entry a sample, expected [${batch?.samples ?? 'samples'}], got ` +
        `[${loss.shape.join(', ')}]. Do not average it over the batch.`,
    );
  }
}
