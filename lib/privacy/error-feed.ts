// What the engine tells a model about its own noise: σ, B and frequencies at attach, and each step where a model asks.

import { raise } from '../errors';
import type { AcceptsEffectiveError, ItemFrequencies } from '../nn';
import type { Optimizer, PrivateRelease } from '../optim';
import { tidy } from '../tensor';
import type { TrainableModel } from './attached';
import { gaussian } from './accounting/events';
import { type Frequencies, frequencies } from './frequencies';
import { itemRecords, noisyDocumentFrequency } from './histogram';
import type { Ledger } from './ledger';
import type { NoiseSource } from './noise-source';
import type { DpPlan } from './plan';

/** What a checkpoint keeps of it, as JSON. */
export interface ErrorFeedState {
  /** Of a histogram that was released; null for none. */
  readonly released: readonly number[] | null;
  /** What the model had made of the noise; null for a model that makes nothing of it. */
  readonly variance: { readonly weight: number; readonly rows: readonly number[] } | null;
}

export class ErrorFeed {
  readonly #model: AcceptsEffectiveError | null;
  readonly #given: Frequencies;
  #known: ItemFrequencies | null = null;

  /** @throws ERR_INVALID_ARGUMENT for frequencies that the model would not use, or that the engine cannot release. */
  constructor(
    model: TrainableModel,
    private readonly plan: DpPlan,
    private readonly ledger: Ledger,
    private readonly noise: NoiseSource,
  ) {
    this.#model = accepting(model);
    if (this.#model === null && plan.frequencies !== null) {
      raise(
        'ERR_INVALID_ARGUMENT',
        'PrivacyEngine: frequencies are for models with Re-Attention, and this one has none. Leave them out, or make the model ' +
          'with reAttention: true.',
      );
    }
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

  /** Before an attach. @throws ERR_INVALID_ARGUMENT for frequencies of another vocabulary. */
  tell(): void {
    if (this.#known !== null) this.#tell(this.#known);
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
      secondMoment: secondMoment(optimizer),
    });
  }

  #tell(frequencies: ItemFrequencies): void {
    const { gradientNoiseMultiplier: noiseMultiplier, expectedBatchSize } = this.plan;
    this.#model?.setEffectiveError({ noiseMultiplier, expectedBatchSize, frequencies });
  }
}

/** Mean of Adam's second moment, without its start-up bias; null for optimizers without one. */
function secondMoment(optimizer: Optimizer): number | null {
  const { tensors, steps } = optimizer.stateDict();
  const moment = tensors['expAvgSq'];
  if (moment === undefined || !('betas' in optimizer)) return null;
  const [, beta2] = optimizer.betas as readonly [number, number];
  return tidy(() => moment.mean().item()) / (1 - beta2 ** steps);
}

function accepting(model: TrainableModel): AcceptsEffectiveError | null {
  const candidate = model as Partial<AcceptsEffectiveError>;
  return typeof candidate.setEffectiveError === 'function' && candidate.usesEffectiveError === true
    ? (candidate as AcceptsEffectiveError)
    : null;
}

const LOST_HISTOGRAM =
  'the histogram of items was paid for and lost when the run was broken off. It is not released a second time: Re-Attention goes on ' +
  'as if all items were equally frequent, and corrects next to nothing.';

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
