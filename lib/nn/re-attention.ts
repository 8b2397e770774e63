// Re-Attention as a property of a model: its options, and what it has been told of the noise (Ding et al. 2024, section 4).

import * as check from '../check';
import { raise } from '../errors';
import { fromTypedArray, keep, type Tensor, tidy } from '../tensor';
import type { EffectiveError, NoiseStep } from './effective-error';
import { addedNoise, effectiveVariance, type ErrorModel, type NoiseVariance } from './noise-variance';
import { type Correction, embeddingVariance, NO_NOISE, type WeightNoise } from './noisy';
import type { ParameterType } from './initializer';

export interface ReAttentionOptions {
  /**
   * What is done to the attention S = softmax(z) of a query whose logits z have the variances 2p by the noise of the keys:
   * - `logit` (default): softmax(z − p), the paper's division done before the softmax normalises;
   * - `paper`: S e^−p, rows no longer sum to 1;
   * - `secondOrder`: softmax(z − p(1 − 2S)), which cancels the softmax's own bias to second order;
   * - `off`.
   */
  readonly correction?: Correction;
  /** Largest amount taken from a logit. Default 20, which float32 still resolves beside the logit; for `paper` null: any. */
  readonly maxPenalty?: number | null;
  /**
   * How large the noise of a parameter is taken to be:
   * - `paper` (default): σ/B for weights, σ/(B pᵢ) for the row of item i, B pᵢ at least 1. A ratio of noise to signal, used as if in
   *   units of the parameters;
   * - `scaled`: κσ/B and κσ/(B pᵢ^α), κ in units of the parameters;
   * - `tracked`: the sum of the noise that was really added, step by step.
   */
  readonly error?: 'paper' | 'scaled' | 'tracked';
  /** κ of `scaled` and `tracked`. Default 1. */
  readonly errorScale?: number;
  /** α of `scaled`. Default 1. */
  readonly errorExponent?: number;
  /** h of `tracked`: how fast signal pulls a row back, (1 − 2ηhpᵢ) a step. Default 0: not at all. */
  readonly curvature?: number;
}

/** All options decided, as config.json keeps them. */
export type ReAttentionConfig = Required<ReAttentionOptions>;

const NAMES = ['correction', 'maxPenalty', 'error', 'errorScale', 'errorExponent', 'curvature'];

/** @throws ERR_INVALID_ARGUMENT for an option that is unknown, out of range, or that the error model does not read. */
export function resolveReAttention(options: ReAttentionOptions | boolean): ReAttentionConfig | false {
  if (options === false) return false;
  const own = options === true ? {} : options;
  const name = 'reAttention';
  check.onlyKnown(name, own, NAMES);
  const { correction = 'logit', error = 'paper', errorScale = 1, errorExponent = 1, curvature = 0 } = own;
  const { maxPenalty = correction === 'paper' ? null : 20 } = own;
  check.oneOf(name, { correction }, ['logit', 'paper', 'secondOrder', 'off']);
  check.oneOf(name, { error }, ['paper', 'scaled', 'tracked']);
  if (maxPenalty !== null) check.positive(name, { maxPenalty });
  check.notNegative(name, { errorScale });
  check.notNegative(name, { errorExponent });
  check.notNegative(name, { curvature });
  // An option that nothing reads would be ignored in silence.
  if (errorScale !== 1) check.oneOf(name, { error }, ['scaled', 'tracked']);
  if (errorExponent !== 1) check.oneOf(name, { error }, ['scaled']);
  if (curvature !== 0) check.oneOf(name, { error }, ['tracked']);
  return Object.freeze({ correction, maxPenalty, error, errorScale, errorExponent, curvature });
}

/**
 * What one model knows of the noise in its parameters. Without an error, with one of zero, or for a model that was made without
 * Re-Attention (`config` is false), nothing is corrected.
 */
export class ReAttention {
  #frequencies: Float64Array | null = null;
  #variance: NoiseVariance | null = null;
  #rows: Tensor | null = null;

  constructor(
    readonly config: (ReAttentionConfig & ErrorModel) | false,
    /** Rows of the item table, with that of padding. */
    readonly rowCount: number,
    private readonly dtype: ParameterType = 'float32',
  ) {}

  /** Whether attention is corrected once an error is known. */
  get corrects(): boolean {
    return this.config !== false && this.config.correction !== 'off';
  }

  /** Whether the error is that of the noise that was really added. */
  get tracks(): boolean {
    return this.config !== false && this.config.error === 'tracked';
  }

  /** Takes over what an engine knows. A tracked error goes on where it stood. @throws ERR_INVALID_ARGUMENT, also without Re-Attention */
  accept(error: EffectiveError | null): void {
    if (this.config === false) {
      if (error !== null) raise('ERR_INVALID_ARGUMENT', 'setEffectiveError: this model was made without reAttention.');
      return;
    }
    const none = error === null || error.noiseMultiplier === 0;
    const variance = none ? null : effectiveVariance(error, this.rowCount, this.config);
    this.#frequencies = error?.frequencies.probability ?? null;
    if (this.tracks && !none) this.variance = this.#variance ?? variance;
    else this.variance = variance;
  }

  /** One more private update. Only a `tracked` error moves. */
  addNoise(step: NoiseStep): void {
    if (this.config === false || !this.tracks || this.#variance === null) return;
    this.variance = addedNoise(this.#variance, this.#frequencies, step, this.config);
  }

  /** What the correction goes by, as it is saved with the model; null: nothing is corrected. */
  get variance(): NoiseVariance | null {
    return this.#variance;
  }

  set variance(variance: NoiseVariance | null) {
    if (this.config === false && variance !== null) {
      raise('ERR_INVALID_ARGUMENT', 'noiseVariance: this model was made without reAttention.');
    }
    this.dispose();
    this.#variance = variance;
    if (variance === null) return;
    check.notNegative('reAttention', { weight: variance.weight });
    check.integer('reAttention', { rows: variance.rows.length }, this.rowCount, this.rowCount);
    this.#rows = tidy(() => keep(fromTypedArray(variance.rows, [this.rowCount]).to(this.dtype)));
  }

  get noise(): WeightNoise {
    if (this.config === false) return NO_NOISE;
    const { correction, maxPenalty } = this.config;
    return { weight: this.#variance?.weight ?? 0, correction, maxPenalty };
  }

  /** `[N]` variance of embedded ids on top of weights that were added to them (positions); null where nothing is corrected. */
  embedded(ids: Tensor, scale: number): Tensor | null {
    if (this.#rows === null || !this.corrects) return null;
    return embeddingVariance(this.#rows.to({ device: ids.device }), ids, scale).add(this.noise.weight);
  }

  /** Frees the table of variances. */
  dispose(): void {
    this.#rows?.dispose();
    this.#rows = null;
    this.#variance = null;
  }
}
