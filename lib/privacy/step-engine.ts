// The way of one step, shared by private and plain training: loss, uses, factors, sum, update.

import * as check from '../check';
import { raise } from '../errors';
import { batchToken } from '../nn/segments';
import type { Optimizer, PrivateRelease } from '../optim';
import { Tensor, tidy } from '../tensor';
import type { Attached, AttachedSteps, Performance, StepInput, TrainableModel } from './attached';
import { BatchStream, type PackableData, type PhysicalBatch, type Sampled } from './batch-stream';
import { FirstStepChecks } from './first-step-checks';
import { type BookOptions, GradientBook } from './gradient-book';
import type { RandomSource, Sampler } from './sampling';
import { checkOptimizer, checkUnchanged, trainable } from './trainable';

const DEFAULT_MEMORY = 48 * 2 ** 20;

export abstract class StepEngine {
  protected readonly stream: BatchStream<PhysicalBatch>;
  #book: GradientBook | null = null;
  #parameters: ReadonlyMap<string, Tensor> = new Map(); // those of #book, by name
  #optimizer: Optimizer | null = null;
  #locked = false;
  #steps = 0;
  #samplesInStep = 0;
  readonly #checks: FirstStepChecks;

  protected constructor(
    protected readonly model: TrainableModel,
    protected readonly sampler: Sampler,
    protected readonly records: number,
    protected readonly plannedSteps: number,
    random: RandomSource,
    protected readonly performance: Performance,
    attributionCheck: boolean,
  ) {
    check.able('engine', { model }, 'namedParameters', 'a model');
    checkPerformance(performance);
    this.stream = new BatchStream(sampler, records, random);
    this.#checks = new FirstStepChecks(attributionCheck);
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
   *   parameters than the model's trainable ones. @throws ERR_PARAMETER_GROUPS when the clipping groups do not fit the parameters.
   */
  attach<O extends Optimizer>(optimizer: O): Attached<O> {
    if (this.#book !== null) raise('ERR_ENGINE_STATE', 'attach: this engine is attached already. Call detach() first.');
    const parameters = trainable(this.model);
    checkOptimizer(optimizer, parameters);
    const { gradients = 'factors' } = this.performance;
    this.#book = new GradientBook(parameters, { gradients, ...this.bookOptions([...parameters.keys()]) });
    this.#parameters = parameters;
    this.#optimizer = optimizer;
    optimizer.followArena([...parameters.values()]);
    return Object.assign(optimizer, {
      step: (input: StepInput) => this.step(input),
      virtualStep: (input: StepInput) => this.virtualStep(input),
    });
  }

  /**
   * Gives the optimizer its own `step` back and the parameters memory of their own. What was summed of an unfinished logical
   * batch is lost: after the next `attach`, {@link batches} hands the same batches out again.
   */
  detach(): void {
    if (this.#book === null) return;
    const optimizer = this.#optimizer as Optimizer & Partial<AttachedSteps>;
    Reflect.deleteProperty(optimizer, 'step');
    Reflect.deleteProperty(optimizer, 'virtualStep');
    this.#book.close();
    this.#book = null;
    this.#optimizer = null;
    this.#forget();
  }

  /** Logical steps that are still to come: planned, and paid for. */
  get remainingSteps(): number {
    return this.plannedSteps - this.#steps;
  }

  /** Refuses steps until {@link unlock}, so that gradients and statistics stay as they are. */
  lock(): void {
    this.#locked = true;
  }

  unlock(): void {
    this.#locked = false;
  }

  /**
   * Physical batches up to the last planned step, drawn by the sampler. Give the loss of each to `optimizer.step`. A loop that
   * was left in the middle of a logical batch is continued by the next one, with the batches that remain.
   *
   * @throws ERR_INVALID_ARGUMENT when `data` has another number of records than the plan.
   */
  batches<B extends PhysicalBatch>(data: PackableData<B>): Generator<Sampled<B>, void, void> {
    const packing = this.model.packing?.() ?? { bytesPerRow: 2 ** 16 };
    const { bytesPerRow, ...layout } = packing;
    const memory = this.samplesApart ? 0 : (this.performance.memoryBudget ?? DEFAULT_MEMORY);
    const rowBudget = Math.max(1, Math.floor(memory / bytesPerRow));
    return (this.stream as unknown as BatchStream<B>).draw(data, { ...layout, rowBudget }, () =>
      this.remainingSteps > 0 ? this.#steps : null,
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

  /** What the kind of training wants of a book of these parameters. A refusal leaves everything as it is. */
  protected abstract bookOptions(names: readonly string[]): BookOptions;
  /** Refuses a step that must not be taken, before anything has been computed. */
  protected abstract admit(): void;
  /** `[G][B]` factor of each sample in each group of parameters; 0 drops it. `finite(b)` says whether its loss is. */
  protected abstract factors(
    book: GradientBook,
    finite: (sample: number) => boolean,
    lossScale: number,
    samples: number,
  ): readonly Float64Array[];
  /** Whether every sample gets a physical batch of its own. */
  protected get samplesApart(): boolean {
    return false;
  }
  /** After the clipped gradients of one physical batch have been added to the book's sum. */
  protected added(_book: GradientBook): void {
    // Nothing to do, where the sum stays in the book.
  }
  /** Pays for the update and says how the sum is published. */
  protected abstract release(book: GradientBook): PrivateRelease;
  /** After the update that `release` described. */
  protected abstract finished(optimizer: Optimizer, release: PrivateRelease): void;
  /** What was summed since the last update is gone. */
  protected abstract abandoned(): void;
  /** After a logical step that left every parameter finite. */
  protected settled(): void {
    // Nothing to do, where nothing is kept.
  }

  /** The optimizer at work. @throws ERR_ENGINE_STATE between `detach` and `attach`. */
  protected attachedOptimizer(operation: string): Optimizer {
    return this.#optimizer ?? raise('ERR_ENGINE_STATE', `${operation}: the engine is not attached to an optimizer.`);
  }

  /** Continues at logical step `steps`, with parameters that `load` writes in place. */
  protected continueAt(steps: number, load: () => void): void {
    load();
    this.#book?.parametersChanged();
    this.#steps = steps;
  }

  #add(operation: string, input: StepInput): void {
    const book = this.#ready(operation);
    checkInput(operation, input);
    const { loss, lossScale = 1 } = input;
    const batch = this.stream.outstanding;
    if (batch === null && 'open' in this.sampler) {
      raise(
        'ERR_BATCH_NOT_SAMPLED',
        `${operation}: there is no batch of engine.batches() that this loss could belong to.`,
      );
    }
    checkLoss(operation, loss, batch);
    if (!(Number.isFinite(lossScale) && lossScale > 0)) {
      raise('ERR_INVALID_ARGUMENT', `${operation}: lossScale must be a finite number above 0, got ${lossScale}.`);
    }
    if (this.#samplesInStep === 0) {
      this.admit();
      checkUnchanged(operation, this.model, this.#parameters);
    }
    const samples = loss.shape[0] as number;
    if (samples > 0) this.#record(book, loss, lossScale, batch === null ? 0 : batchToken(batch));
    this.#samplesInStep += samples;
    this.stream.consume();
  }

  #record(book: GradientBook, loss: Tensor, lossScale: number, token: number): void {
    if (!loss.requiresGrad) return this.#checks.uses(book.names);
    const values = tidy(() => loss.detach().to('float64').toTypedArray() as Float64Array);
    this.#checks.attribution(book, loss);
    book.backward(loss, token);
    this.#checks.uses(book.unused());
    const factors = this.factors(book, (b) => Number.isFinite(values[b]), lossScale, values.length);
    this.#orAbandon(book, () => {
      book.add(factors);
      this.added(book);
    });
  }

  #finish(): void {
    const book = this.#book as GradientBook;
    const optimizer = this.#optimizer as Optimizer;
    const unused = this.#checks.finish();
    const { notFinite, release } = this.#orAbandon(book, () => {
      if (unused !== undefined) {
        raise(
          'ERR_PARAMETER_UNUSED',
          `step: parameter ${unused} did not take part in the loss. Freeze it with requiresGrad_(false).`,
        );
      }
      const release = this.release(book);
      const notFinite = optimizer.applyPrivate({ parameters: book.arena, sum: book.sum }, release);
      return { notFinite, release };
    });
    book.parametersChanged();
    this.#steps += 1;
    this.#samplesInStep = 0;
    this.finished(optimizer, release);
    if (notFinite > 0) {
      raise(
        'ERR_NOT_FINITE',
        `step: ${notFinite} parameters are not finite after step ${this.#steps}. Lower the learning rate.`,
      );
    }
    this.settled();
  }

  // An error in here leaves a sum that is only half added, or already paid for: what comes next must not be added to it, or a
  // sample could count twice.
  #orAbandon<T>(book: GradientBook, run: () => T): T {
    try {
      return run();
    } catch (error) {
      book.discard();
      book.parametersChanged();
      this.#forget();
      throw error;
    }
  }

  #forget(): void {
    this.#samplesInStep = 0;
    this.stream.restart();
    this.abandoned();
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

function checkPerformance(performance: Performance): void {
  check.onlyKnown('performance', performance, ['memoryBudget', 'gradients']);
  const { memoryBudget = DEFAULT_MEMORY, gradients = 'factors' } = performance;
  check.positive('performance', { memoryBudget });
  check.oneOf('performance', { gradients }, ['factors', 'materialize']);
}

// optimizer.step() and optimizer.step(loss) are what other libraries have.
function checkInput(operation: string, input: StepInput | undefined): void {
  const loss: unknown = input?.loss;
  if (!Tensor.isTensor(loss)) {
    raise('ERR_INVALID_ARGUMENT', `${operation}: give the loss of each sample as optimizer.${operation}({ loss }).`);
  }
  check.onlyKnown(operation, input as StepInput, ['loss', 'lossScale']);
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
