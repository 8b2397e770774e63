// The privacy engine: one plan, one ledger, one noise source, and the only road from losses to parameters.

import * as check from '../check';
import { raise } from '../errors';
import { type ArenaProfile, type Optimizer, type PrivateRelease, publicGrid } from '../optim';
import { arenaRuns, profileOf } from './arena-parts';
import type { Attached, Performance, TrainableModel } from './attached';
import type { PackableData, PhysicalBatch, Sampled } from './batch-stream';
import { boundedFactors } from './bounded-factors';
import { BudgetGuard } from './budget';
import { Checkpoint, type CheckpointOptions, type SavedState } from './checkpoint';
import { boundedGroups, type Clip, type GroupAssignment, isAdaptive, together, usableOr0 } from './clip';
import { ErrorFeed } from './error-feed';
import type { BookOptions, GradientBook } from './gradient-book';
import { Ledger } from './ledger';
import { MovingClip } from './moving-clip';
import { NoiseSource } from './noise-source';
import { type DpPlan, makePlan, PLAN_OPTIONS, type PlanOptions } from './plan';
import { insecureRandom, secureRandom } from './sampling';
import { warnOfDrowning } from './signal-to-noise';
import { StepEngine } from './step-engine';
import { strictDistance, type StrictGrid, StrictSum } from './strict-noise';
import { trainable } from './trainable';
import { StatsCollector, type TrainingStats } from './training-stats';

export interface PrivacyEngineOptions extends PlanOptions {
  /**
   * Makes noise and sampling repeatable, for tests. What is trained so is not private: the ledger, the statement and the first
   * step say so.
   */
  readonly insecureSeed?: number;
  readonly performance?: Performance;
  /** One extra backward pass in the first step proves that samples do not mix. Default true. */
  readonly attributionCheck?: boolean;
}

/** What has been spent. */
export interface PrivacySpent {
  /** Of everything in the ledger, for the plan's neighbours. Infinity for a noise multiplier of 0. */
  readonly epsilon: number;
  readonly delta: number;
  readonly noiseMultiplier: number;
  readonly steps: number;
  /** Steps that were paid for and are not in the parameters: lost by a crash or a failed update. ε covers them. */
  readonly lostSteps: number;
  readonly accountant: string;
}

/**
 * Trains a model so that what the optimizer sees is (ε, δ)-differentially private.
 *
 * @example
 * const engine = new PrivacyEngine(model, { records: train.length, epochs: 100, target: { epsilon: 8, delta: 1e-6 },
 *   sampler: poisson({ batchSize: 1024 }), clip: normalize({ maxGradNorm: 1 }) });
 * const optimizer = engine.attach(adam(model.parameters(), { lr: 3e-3 }));
 * for (const batch of engine.batches(train)) optimizer.step({ loss: model.loss(batch) });
 *
 * @see privacy.md sections 1-5 in the guide; Abadi et al. 2016, Algorithm 1.
 */
export class PrivacyEngine extends StepEngine {
  readonly plan: DpPlan;
  readonly ledger: Ledger;
  readonly #budget: BudgetGuard;
  readonly #noise: NoiseSource;
  #closed = false;
  readonly #moving: MovingClip;
  readonly #error: ErrorFeed;
  readonly #stats = new StatsCollector();
  #strict: StrictSum | null = null;
  #strictGrid: StrictGrid | null = null; // of the parameters attached last
  #checkpoint: Checkpoint | null = null;
  #groups: GroupAssignment | null = null; // of the parameters attached last
  #scales: readonly number[] = [];
  #profile: ArenaProfile | null = null; // of the arena, made when the frequencies are known
  #profileOf: object | null = null; // the rows' factors that it was made of
  #lastStats: TrainingStats | null = null;

  /**
   * @throws ERR_INVALID_ARGUMENT for settings that contradict each other or the data's size. @throws ERR_PRIVACY_TARGET when no
   *   noise reaches the target. Nothing is attached yet.
   */
  constructor(model: TrainableModel, options: PrivacyEngineOptions) {
    check.onlyKnown('PrivacyEngine', options, [...PLAN_OPTIONS, 'insecureSeed', 'performance', 'attributionCheck']);
    const { insecureSeed, performance = {}, attributionCheck = true } = options;
    check.oneOf('PrivacyEngine', { attributionCheck }, [true, false]);
    const plan = makePlan(options, options.noise === 'strict' ? weightsIn([...trainable(model).values()]) : 0);
    const random = insecureSeed === undefined ? secureRandom() : insecureRandom(insecureSeed);
    super(model, plan.sampler, plan.records, plan.steps, random, performance, attributionCheck);
    this.plan = plan;
    this.ledger = new Ledger();
    this.#budget = new BudgetGuard(this.ledger, plan.event, plan.steps + plan.recoverySteps);
    this.#noise = new NoiseSource(insecureSeed);
    const { countNoise, expectedBatchSize } = plan;
    this.#moving = new MovingClip(plan.clip, { noiseStd: countNoise ?? 0, expectedBatchSize });
    this.#error = new ErrorFeed(model, plan, this.ledger, this.#noise);
    if (insecureSeed !== undefined) {
      this.ledger.stampInsecure(insecureSeed);
      warnOnce();
    }
  }

  /**
   * See {@link StepEngine.attach}; a model that asks learns σ, B and, where they are known, the frequencies. Warns where noise
   * outweighs any signal ({@link signalToNoise}). Refuses (ERR_INVALID_ARGUMENT) an optimizer that is {@link Optimizer.unprotected}.
   */
  override attach<O extends Optimizer>(optimizer: O): Attached<O> {
    this.#error.tell();
    const parameters = weightsIn(optimizer.parameters);
    const { noise, noiseMultiplier, clip } = this.plan;
    if (noiseMultiplier > 0 && optimizer.unprotected) {
      raise(
        'ERR_INVALID_ARGUMENT',
        'attach: the optimizer has taken steps without noise, and private ones would publish what its moments keep of them. Make a new ' +
          'optimizer.',
      );
    }
    if (noise === 'strict' && optimizer.settings.noiseFloor !== undefined) {
      raise(
        'ERR_INVALID_ARGUMENT',
        'attach: noiseCorrection knows the default level of the noise only. Leave one of them out.',
      );
    }
    if (noise === 'strict' && strictDistance(parameters) > (this.plan.event?.distance ?? 0)) {
      raise(
        'ERR_INVALID_ARGUMENT',
        `attach: the plan of strict noise was made for fewer weights than the ${parameters} that are trained now. Make the engine when the ` +
          'model is as it will be trained.',
      );
    }
    const strict = noise === 'strict' ? new StrictSum(noiseMultiplier, clip.maxGradNorm, parameters) : null;
    const attached = super.attach(optimizer);
    this.#strict = strict;
    this.#strictGrid = strict?.grid ?? null;
    warnOfDrowning(this.plan, parameters);
    return attached;
  }

  override detach(): void {
    super.detach();
    this.#strict?.dispose();
    this.#strict = null;
    this.#forgetProfile();
  }

  /** Units and bounds of a strict run, as of the last `attach`; null for the default level. */
  get strictGrid(): StrictGrid | null {
    return this.#strictGrid;
  }

  /** See {@link StepEngine.batches}; the first call releases the private histogram of the plan, if it has one. */
  override batches<B extends PhysicalBatch>(data: PackableData<B>): Generator<Sampled<B>, void, void> {
    if (this.#error.see(data, this.model.packing?.().maxLength)) this.#checkpoint?.save();
    return super.batches(data);
  }

  /** ε and δ of the steps taken so far. Costs one run of the accountant. */
  privacySpent(): PrivacySpent {
    const { delta, noiseMultiplier, accountant } = this.plan;
    const epsilon = this.ledger.epsilon(delta, accountant);
    return {
      epsilon,
      delta,
      noiseMultiplier,
      steps: this.steps,
      lostSteps: this.lostSteps,
      accountant: accountant.name,
    };
  }

  /** Steps that were paid for and are not in the parameters. */
  get lostSteps(): number {
    return this.#budget.charged - this.steps;
  }

  /** Logical steps that are still to come: 0 after the last planned one, or when lost steps have used up the budget before. */
  override get remainingSteps(): number {
    return Math.min(super.remainingSteps, this.#budget.remaining);
  }

  /**
   * Keeps this run in `folder` from here on: parameters, optimizer and ledger are saved every few steps, and every step is on disk
   * as spent before it is taken. Call it after {@link attach} and before the first batch. With `resume` the engine, its model and
   * optimizer go on where the newest saved state was; steps that were paid for since then stay spent, and new noise is drawn.
   *
   * One folder belongs to one process at a time. What is in it is private: it tells which data were used.
   *
   * @throws ERR_CHECKPOINT_NOT_FOUND: `resume: true` without a checkpoint. ERR_CHECKPOINT_DAMAGED names the file.
   *   ERR_CHECKPOINT_MISMATCH lists everything that differs. ERR_CHECKPOINT_BUSY, ERR_CHECKPOINT_WRITE, ERR_ENGINE_STATE,
   *   ERR_INVALID_ARGUMENT. After each of them engine, model and folder are as before.
   * @example
   * const optimizer = engine.attach(adam(model.parameters(), { lr: 1e-2 }));
   * const checkpoint = engine.checkpoint('run/checkpoint', { data: train, every: 50, resume: 'auto' });
   * for (const batch of engine.batches(train)) optimizer.step({ loss: model.loss(batch) });
   * checkpoint.close();
   */
  checkpoint(folder: string, options: CheckpointOptions): Checkpoint {
    if (this.#checkpoint !== null) {
      raise('ERR_ENGINE_STATE', `checkpoint: this engine has one already, in ${this.#checkpoint.folder}.`);
    }
    const { sampler } = this.plan;
    if ('open' in sampler && !('draw' in sampler)) {
      // A step replayed after a crash would have to count as a whole pass over the data, which no plan has room for.
      raise(
        'ERR_INVALID_ARGUMENT',
        `checkpoint: a run with the sampler ${sampler.kind} cannot be continued, because its one assignment of records to batches ` +
          'binds every step. Use poisson, truncatedPoisson or fixedSize.',
      );
    }
    this.#checkpoint = Checkpoint.open(
      {
        plan: this.plan,
        model: this.model,
        ledger: this.ledger,
        groups: this.#groups,
        optimizer: (operation) => this.attachedOptimizer(operation),
        steps: () => this.steps,
        remainingSteps: () => this.remainingSteps,
        state: () => ({
          maxGradNorm: isAdaptive(this.clip) ? this.clip.maxGradNorm : null,
          error: this.#error.state(),
        }),
        restore: (saved, load) => this.#restore(saved, load),
      },
      folder,
      options,
    );
    return this.#checkpoint;
  }

  /** The clipping rule of the step at hand. With `adaptive` its `maxGradNorm` moves; it is as public as the trained weights. */
  get clip(): Clip {
    return this.#moving.clip;
  }

  /** Thresholds C_g by group of parameters, as of the last `attach`; null without groups. */
  groupThresholds(): Readonly<Record<string, number>> | null {
    const { grouping, maxGradNorm } = this.clip;
    if (grouping === null) return null;
    return Object.fromEntries((this.#groups?.groups ?? []).map(({ name, share }) => [name, share * maxGradNorm]));
  }

  /** Clipping in the last complete logical step, or null before it. Not private. */
  trainingStats(): TrainingStats | null {
    return this.#lastStats;
  }

  /**
   * Detaches for good: the noise key is erased. A checkpoint that is still open is left as it was last saved, and the steps that
   * were reserved and not taken are given back.
   */
  close(): void {
    this.#closed = true;
    this.#checkpoint?.leave();
    this.detach();
    this.#noise.close();
  }

  protected bookOptions(names: readonly string[]): BookOptions {
    if (this.#closed) {
      raise('ERR_ENGINE_STATE', 'attach: this engine was closed, its noise key is erased. Make a new one.');
    }
    this.#groups = boundedGroups(this.plan.clip.grouping?.assign(names) ?? together(names), names.length);
    this.#scales = this.plan.scales?.assign(names) ?? names.map(() => 1);
    return { groups: this.#groups, scales: this.#scales };
  }

  protected admit(): void {
    this.#budget.admit();
  }

  protected factors(
    book: GradientBook,
    finite: (sample: number) => boolean,
    lossScale: number,
  ): readonly Float64Array[] {
    const { norm, bound, groups } = book.norms();
    // One part that is not finite drops the sample from all of them.
    const whole = Array.from(norm, (_, b) => finite(b) && groups.every((part) => Number.isFinite(part.bound[b])));
    const unscaled = (values: Float64Array): Float64Array =>
      values.map((value, b) => (whole[b] ? value / lossScale : NaN));
    if (this.#strict !== null) checkApart(whole, bound);
    const { clip } = this;
    const factors = groups.map((part, g) =>
      boundedFactors(clip, unscaled(part.bound), book.groups.groups[g]?.share as number),
    );
    this.#moving.observe(unscaled(bound));
    const groupNorms = groups.map((part) => unscaled(part.norm));
    this.#stats.add({ norm: unscaled(norm), groupNorms, factors, finite: (b) => whole[b] === true });
    return factors.map((row) => row.map((factor) => usableOr0(factor / lossScale)));
  }

  protected release(book: GradientBook): PrivateRelease {
    const { sensitivity } = book.bounded(this.clip);
    this.#budget.charge();
    this.#moving.release(this.#noise);
    const { gradientNoiseMultiplier, expectedBatchSize } = this.plan;
    if (this.#strict !== null) {
      this.#strict.release(book.sum, this.#noise);
      return { noiseSource: 0, noiseStd: 0, grid: 0, divisor: expectedBatchSize, profile: this.#arenaProfile() };
    }
    const noiseStd = gradientNoiseMultiplier === 0 ? 0 : gradientNoiseMultiplier * sensitivity;
    return {
      noiseSource: this.#noise.id,
      noiseStd,
      grid: publicGrid(noiseStd),
      divisor: expectedBatchSize,
      profile: this.#arenaProfile(),
    };
  }

  /** Scales and row steps over the arena; null where all of them are 1. */
  #arenaProfile(): ArenaProfile | null {
    const rows = this.#error.rowFactors();
    if (this.#profileOf !== rows) {
      this.#forgetProfile();
      this.#profile = profileOf(arenaRuns(trainable(this.model), { scales: this.#scales, rows }));
      this.#profileOf = rows;
    }
    return this.#profile;
  }

  #forgetProfile(): void {
    const { ends, scales, steps } = this.#profile ?? {};
    for (const tensor of [ends, scales, steps]) tensor?.dispose();
    this.#profile = null;
    this.#profileOf = null;
  }

  protected finished(optimizer: Optimizer, release: PrivateRelease): void {
    if (this.plan.noiseMultiplier === 0) optimizer.markUnprotected();
    this.#lastStats = this.#stats.finish(this.clip.maxGradNorm, Object.keys(this.groupThresholds() ?? {}));
    this.#moving.advance();
    const { unit = 0, scale = 0 } = this.strictGrid ?? {};
    this.#error.stepped(optimizer, this.#strict === null ? release : { ...release, noiseStd: unit * scale });
  }

  protected abandoned(): void {
    this.#stats.forget();
    this.#moving.forget();
    this.#strict?.forget();
  }

  protected override get samplesApart(): boolean {
    return this.plan.noise === 'strict';
  }

  protected override added(book: GradientBook): void {
    this.#strict?.add(book.sum);
  }

  protected override settled(): void {
    this.#checkpoint?.stepped();
  }

  #restore({ step, maxGradNorm, error }: SavedState, load: () => void): void {
    this.continueAt(step, load);
    this.#error.restore(error);
    if (maxGradNorm !== null) this.#moving.continueAt(maxGradNorm);
  }
}

// Samples that share a sum cannot be bounded one by one. Records without rows contribute nothing and may stand beside others.
function checkApart(whole: readonly boolean[], bounds: Float64Array): void {
  const contributing = whole.filter((finite, b) => finite && bounds[b] !== 0).length;
  if (contributing < 2) return;
  raise(
    'ERR_INVALID_ARGUMENT',
    `step: strict noise takes one sample at a time, got a batch with ${contributing}. Data must lay out records one by one when pack ` +
      'is called with a rowBudget of 1.',
  );
}

const weightsIn = (parameters: readonly { readonly numel: number }[]): number =>
  parameters.reduce((sum, { numel }) => sum + numel, 0);

let warned = false;

function warnOnce(): void {
  if (warned) return;
  warned = true;
  process.emitWarning('noise and sampling repeat with insecureSeed: such a run is not private.', 'PhantomgradWarning');
}
