// The privacy engine: one plan, one ledger, one noise source, and the only road from losses to parameters.

import { raise } from '../errors';
import { type PrivateRelease, publicGrid } from '../optim';
import type { Performance, TrainableModel } from './attached';
import { BudgetGuard } from './budget';
import type { Clip } from './clip';
import type { GradientBook } from './gradient-book';
import { Ledger } from './ledger';
import { NoiseSource } from './noise-source';
import { type DpPlan, makePlan, type PlanOptions } from './plan';
import { insecureRandom, secureRandom } from './sampling';
import { StepEngine } from './step-engine';
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
  /** Of everything in the ledger, for neighbours that add or remove one record. Infinity for a noise multiplier of 0. */
  readonly epsilon: number;
  readonly delta: number;
  readonly noiseMultiplier: number;
  readonly steps: number;
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
  readonly #stats = new StatsCollector();
  #lastStats: TrainingStats | null = null;

  /**
   * @throws ERR_INVALID_ARGUMENT for settings that contradict each other or the data's size. @throws ERR_PRIVACY_TARGET when no
   *   noise reaches the target. Nothing is attached yet.
   */
  constructor(model: TrainableModel, options: PrivacyEngineOptions) {
    const { insecureSeed, performance = {}, attributionCheck = true } = options;
    const plan = makePlan(options);
    const random = insecureSeed === undefined ? secureRandom() : insecureRandom(insecureSeed);
    super(model, plan.sampler, plan.records, plan.steps, random, performance, attributionCheck);
    this.plan = plan;
    this.ledger = new Ledger();
    this.#budget = new BudgetGuard(this.ledger, plan.event, plan.steps);
    this.#noise = new NoiseSource(insecureSeed);
    if (insecureSeed !== undefined) {
      this.ledger.stampInsecure(insecureSeed);
      warnOnce();
    }
  }

  /** ε and δ of the steps taken so far. Costs one run of the accountant. */
  privacySpent(): PrivacySpent {
    const { delta, noiseMultiplier, accountant } = this.plan;
    const epsilon = this.ledger.epsilon(delta, accountant);
    return { epsilon, delta, noiseMultiplier, steps: this.steps, accountant: accountant.name };
  }

  /** Clipping in the last complete logical step, or null before it. Not private. */
  trainingStats(): TrainingStats | null {
    return this.#lastStats;
  }

  /** Detaches for good: the noise key is erased. */
  close(): void {
    this.detach();
    this.#noise.close();
  }

  protected configure(): void {
    // A book measures norms unless told otherwise.
  }

  protected admit(): void {
    this.#budget.admit();
  }

  protected factors(book: GradientBook, finite: (sample: number) => boolean, lossScale: number): Float64Array {
    const { norm, bound } = book.norms();
    const bounds = bound.map((value, b) => (finite(b) ? value / lossScale : NaN));
    const factors = boundedFactors(this.plan.clip, bounds);
    const norms = norm.map((value) => value / lossScale);
    this.#stats.add(norms, factors, (b) => Number.isFinite(bounds[b]));
    return factors.map((factor) => factor / lossScale);
  }

  protected release(book: GradientBook): PrivateRelease {
    const { sensitivity } = book.bounded(this.plan.clip);
    this.#budget.charge();
    const noiseStd = this.plan.noiseMultiplier === 0 ? 0 : this.plan.noiseMultiplier * sensitivity;
    return { noiseSource: this.#noise.id, noiseStd, grid: publicGrid(noiseStd), divisor: this.plan.expectedBatchSize };
  }

  protected finished(): void {
    this.#lastStats = this.#stats.finish();
  }

  protected abandoned(): void {
    this.#stats.finish();
  }
}

// Noise is scaled to what the rule promises, so the promise is not taken on trust. The slack is for one rounding.
function boundedFactors(clip: Clip, bounds: Float64Array): Float64Array {
  const factors = clip.factors(bounds);
  const holds = bounds.every((bound, b) => {
    const factor = factors[b] as number;
    return Number.isFinite(bound) ? factor >= 0 && factor * bound <= clip.maxGradNorm * (1 + 2 ** -50) : factor === 0;
  });
  if (!holds || factors.length !== bounds.length) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `step: the clipping rule ${clip.kind} broke its promise: every factor must be at least 0 and bring its bound to at most ` +
        `maxGradNorm = ${clip.maxGradNorm}, and be 0 where the bound is not finite.`,
    );
  }
  return factors;
}

let warned = false;

function warnOnce(): void {
  if (warned) return;
  warned = true;
  process.emitWarning('noise and sampling repeat with insecureSeed: such a run is not private.', 'PhantomgradWarning');
}
