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
    if (this.#known === null && !('draw' in plan.sampler)) {
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
   * @throws ERR_INVALID_ARGUMENT for data that have no items, or more or fewer records than the plan.
   */
  see(data: { readonly length: number }, maxLength = Infinity): void {
    if (this.#known !== null || this.#given.provenance !== 'privateHistogram') return;
    const { plan } = this;
    const records = itemRecords(data);
    if (data.length !== plan.records) {
      raise('ERR_INVALID_ARGUMENT', `batches: the plan is for ${plan.records} records, the data has ${data.length}.`);
    }
    // A vocabulary that does not fit is refused before anything is paid.
    this.#tell({ provenance: 'uniform', probability: new Float64Array(records.itemCount + 1).fill(1) });
    this.ledger.charge(gaussian(this.#given.noiseMultiplier));
    const probability = noisyDocumentFrequency(records, this.#given, this.noise, maxLength + 1);
    this.#known = { provenance: 'privateHistogram', probability };
    this.#tell(this.#known);
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
