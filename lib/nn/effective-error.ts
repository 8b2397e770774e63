// What Re-Attention must know of the noise in the weights: an engine produces it, a model accepts it.

import type { NoiseVariance } from './noise-variance';

/**
 * How often items occur, and why telling the model does not leak: raw counts of private data are not among the
 * choices.
 */
export interface ItemFrequencies {
  /**
   * `public`: known without the training data. `privateHistogram`: a noisy histogram of them, charged to the ledger. `uniform`:
   * nothing is assumed, all items alike.
   */
  readonly provenance: 'public' | 'privateHistogram' | 'uniform';
  /** `probability[i]`: the share of sequences that contain item i (0 is the padding item), in [0, 1]. Null for `uniform`. */
  readonly probability: Float64Array | null;
}

/**
 * The effective error of private training (Ding et al. 2024, Definition 4.1 and Claim 4.2): noise of standard deviation
 * σ/B reaches every weight, and σ/(B pᵢ) the embedding row of item i, which only a share pᵢ of the samples moves.
 */
export interface EffectiveError {
  /** σ, in units of the clipping norm. */
  readonly noiseMultiplier: number;
  /** B, the expected batch size, not that of a draw. */
  readonly expectedBatchSize: number;
  readonly frequencies: ItemFrequencies;
}

/** The noise that one private update added, from public numbers and released moments only. */
export interface NoiseStep {
  /** Of the update. */
  readonly learningRate: number;
  /** Standard deviation of the noise in every entry of the released mean gradient: σC/B. */
  readonly noiseStd: number;
  /** Adam divides by the root of this, the mean of its second moment over all parameters; null for plain gradient descent. */
  readonly secondMoment: number | null;
}

/** A model that starts from how often items occur, such as one with an output bias. */
export interface AcceptsFrequencies {
  /** False where the model was made without use for them. */
  readonly usesFrequencies: boolean;
  /** `null` forgets them. @throws ERR_INVALID_ARGUMENT for frequencies of another vocabulary. */
  setFrequencies(frequencies: ItemFrequencies | null): void;
}

/** A model whose attention corrects for the error. */
export interface AcceptsEffectiveError {
  /** False where the model was made without a correction: an engine then has nothing to tell it. */
  readonly usesEffectiveError: boolean;
  /** True where it adds up the noise of every step, which must then be the same for all weights and rows. Default false. */
  readonly tracksNoise?: boolean;
  /** `null` switches the correction off. @throws ERR_INVALID_ARGUMENT for frequencies of another vocabulary. */
  setEffectiveError(error: EffectiveError | null): void;
  /** What the model has made of it so far, for a checkpoint; null before anything was told. */
  noiseVariance?: NoiseVariance | null;
  /** After every private update, for models that add up the noise themselves. */
  addNoise(step: NoiseStep): void;
}
