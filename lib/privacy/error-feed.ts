// What the engine tells a model: frequencies of items, σ and B at attach, and its noise at each step where a model asks.

import { raise } from '../errors';
import type { AcceptsEffectiveError, AcceptsFrequencies, ItemFrequencies } from '../nn';
import { Adam, type Optimizer, type PrivateRelease } from '../optim';
import { tidy } from '../tensor';
import type { TrainableModel } from './attached';
import { gaussian } from './accounting/events';
import { type Frequencies, frequencies } from './frequencies';
import { itemRecords, noisyDocumentFrequency } from './histogram';
import type { Ledger } from './ledger';
import type { NoiseSource } from './noise-source';
import type { DpPlan } from './plan';
import { rowFactors, steppedTables } from './row-steps';
import { trainable } from './trainable';

/** What a checkpoint keeps of it, as JSON. */
export interface ErrorFeedState {
  /** Of a histogram that was released; null for none. */
  readonly released: readonly number[] | null;
  /** What the model had made of the noise; null for a model that makes nothing of it. */
  readonly variance: { readonly weight: number; readonly rows: readonly number[] } | null;
}

export class ErrorFeed {
  readonly #model: AcceptsEffectiveError | null;
  readonly #leaning: AcceptsFrequencies | null;
  readonly #given: Frequencies;
  #known: ItemFrequencies | null = null;
  #rows: ReadonlyMap<string, Float64Array> = new Map();

  /** @throws ERR_INVALID_ARGUMENT for frequencies that the model would not use, or that the engine cannot release. */
  constructor(
    private readonly trained: TrainableModel,
    private readonly plan: DpPlan,
    private readonly ledger: Ledger,
    private readonly noise: NoiseSource,
  ) {
    this.#model = accepting(trained);
    this.#leaning = leaning(trained);
    this.#checkUse();
    this.#given = plan.frequencies ?? frequencies.uniform();
    if (this.#given.provenance === 'public') this.#known = this.#given;
    if (this.#given.provenance === 'uniform') this.#known = { provenance: 'uniform', probability: null };
    if (this.#known === null && !('open' in plan.sampler)) {
      raise(
        'ERR_INVALID_ARGUMENT',
        `PrivacyEngine: a private histogram is counted where the engine sees the data, in batches(), which the sampler ` +
          `${plan.sampler.kind} does not use. Give frequencies.public(shares).`,
      );
    }
    if (this.#model !== null && plan.frequencies === null) warnOnce();
  }

  // Frequencies that nobody reads would be released in vain, and what needs them must not run without.
  #checkUse(): void {
    const { frequencies: given, rowSteps, scales } = this.plan;
    if (this.#model === null && this.#leaning === null && rowSteps === null && given !== null) {
      raise(
        'ERR_INVALID_ARGUMENT',
        'PrivacyEngine: frequencies are for models with Re-Attention or an output bias and for rowSteps, and there is none of them. ' +
          'Leave them out, or make the model with reAttention: true or outputBias: true.',
      );
    }
    if (given === null && (this.#leaning !== null || rowSteps !== null)) {
      raise(
        'ERR_INVALID_ARGUMENT',
        `PrivacyEngine: ${rowSteps === null ? 'a model with an output bias needs' : 'rowSteps need'} frequencies. Give ` +
          'frequencies.privateHistogram() or frequencies.public(shares); frequencies.uniform() switches the effect off.',
      );
    }
    if (this.#model?.tracksNoise === true && (rowSteps !== null || scales !== null)) {
      raise(
        'ERR_INVALID_ARGUMENT',
        "PrivacyEngine: Re-Attention with error 'tracked' adds up one noise for all parameters, which scales and rowSteps make differ. " +
          "Leave them out, or choose the error 'paper' or 'scaled'.",
      );
    }
  }

  /** Before an attach. @throws ERR_INVALID_ARGUMENT for frequencies of another vocabulary. */
  tell(): void {
    if (this.#known !== null) this.#tell(this.#known);
  }

  /** Factors of the updates of each table that takes steps by frequency, `[rows]` by name; the same object until they change. */
  rowFactors(): ReadonlyMap<string, Float64Array> {
    return this.#rows;
  }

  /**
   * Counts the data the first time that it is seen: paid before it is released, and told to the model.
   *
   * @param maxLength  Inputs that the model reads of a record; with the item after them, all that training sees of it.
   * @returns Whether anything was released.
   * @throws ERR_INVALID_ARGUMENT for data that have no items, or more or fewer records than the plan.
   */
  see(data: { readonly length: number }, maxLength = Infinity): boolean {
    if (this.#known !== null || this.#given.provenance !== 'privateHistogram') return false;
    const { plan } = this;
    const records = itemRecords(data);
    if (data.length !== plan.records) {
      raise('ERR_INVALID_ARGUMENT', `batches: the plan is for ${plan.records} records, the data has ${data.length}.`);
    }
    // A vocabulary that does not fit is refused before anything is paid.
    this.#tell({ provenance: 'uniform', probability: new Float64Array(records.itemCount + 1).fill(1) });
    const event = gaussian(this.#given.noiseMultiplier, 1, plan.neighbours);
    if (this.ledger.charged(event) > 0) {
      // Broken off between paying and saving. The plan has paid for one histogram, and a second one would exceed the target.
      this.#known = { provenance: 'uniform', probability: null };
      this.#tell(this.#known);
      process.emitWarning(LOST_HISTOGRAM, 'PhantomgradWarning');
      return false;
    }
    this.ledger.charge(event);
    const probability = noisyDocumentFrequency(records, this.#given, this.noise, maxLength + 1);
    this.#known = { provenance: 'privateHistogram', probability };
    this.#tell(this.#known);
    return true;
  }

  state(): ErrorFeedState {
    const variance = this.#model?.noiseVariance ?? null;
    return {
      released: this.#known?.provenance === 'privateHistogram' ? [...(this.#known.probability ?? [])] : null,
      variance: variance === null ? null : { weight: variance.weight, rows: [...variance.rows] },
    };
  }

  /** Goes on where `state` was taken: what was released is not released again. */
  restore({ released, variance }: ErrorFeedState): void {
    if (released !== null) {
      this.#known = { provenance: 'privateHistogram', probability: Float64Array.from(released) };
      this.#tell(this.#known);
    }
    if (variance !== null && this.#model !== null) {
      this.#model.noiseVariance = { weight: variance.weight, rows: Float64Array.from(variance.rows) };
    }
  }

  /** After a private update. */
  stepped(optimizer: Optimizer, { noiseStd, divisor }: PrivateRelease): void {
    this.#model?.addNoise({
      learningRate: optimizer.lr,
      noiseStd: noiseStd / divisor,
      secondMoment: secondMoment(optimizer, noiseStd / divisor),
    });
  }

  #tell(frequencies: ItemFrequencies): void {
    const { gradientNoiseMultiplier: noiseMultiplier, expectedBatchSize } = this.plan;
    const rows = this.#rowFactors(frequencies);
    this.#model?.setEffectiveError({ noiseMultiplier, expectedBatchSize, frequencies });
    this.#leaning?.setFrequencies(frequencies);
    this.#rows = rows;
  }

  #rowFactors({ probability }: ItemFrequencies): ReadonlyMap<string, Float64Array> {
    const { rowSteps } = this.plan;
    if (rowSteps === null || probability === null) return new Map();
    const factors = rowFactors(probability, rowSteps.exponent);
    const tables = steppedTables(rowSteps, trainable(this.trained), probability.length);
    return new Map(tables.map((name) => [name, factors]));
  }
}

/** Mean of Adam's second moment, without its start-up bias and as far as it is used; null for optimizers without one. */
function secondMoment(optimizer: Optimizer, noiseStd: number): number | null {
  if (!(optimizer instanceof Adam)) return null;
  const { tensors, steps } = optimizer.stateDict();
  const { expAvgSq } = tensors;
  if (expAvgSq === undefined) return null;
  const moment = tidy(() => expAvgSq.mean().item()) / (1 - optimizer.betas[1] ** steps);
  return optimizer.noiseFloor === null ? moment : Math.max(moment - noiseStd ** 2, optimizer.noiseFloor);
}

function leaning(model: TrainableModel): AcceptsFrequencies | null {
  const candidate = model as Partial<AcceptsFrequencies>;
  return typeof candidate.setFrequencies === 'function' && candidate.usesFrequencies === true
    ? (candidate as AcceptsFrequencies)
    : null;
}

function accepting(model: TrainableModel): AcceptsEffectiveError | null {
  const candidate = model as Partial<AcceptsEffectiveError>;
  return typeof candidate.setEffectiveError === 'function' && candidate.usesEffectiveError === true
    ? (candidate as AcceptsEffectiveError)
    : null;
}

const LOST_HISTOGRAM =
  'the histogram of items was paid for and lost when the run was broken off. It is not released a second time: training goes on ' +
  'as if all items were equally frequent, which Re-Attention, output bias and row steps can make nothing of.';

let warned = false;

function warnOnce(): void {
  if (warned) return;
  warned = true;
  process.emitWarning(
    'Re-Attention without frequencies takes all items to be equally noisy and corrects next to nothing. Give the engine ' +
      'frequencies.privateHistogram() or frequencies.public(shares).',
    'PhantomgradWarning',
  );
}
