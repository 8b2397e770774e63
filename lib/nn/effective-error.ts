// What Re-Attention must know of the noise in the weights: an engine produces it, a model accepts it.

/**
 * How often items occur, and why telling the model does not leak: raw counts of private data are not among the
 * choices.
 */
export type ItemFrequencies =
  /** Known without the training data. */
  | { readonly provenance: 'public'; readonly probability: Float64Array }
  /** A noisy histogram of the training data, charged to the ledger. */
  | { readonly provenance: 'gaussian'; readonly probability: Float64Array }
  /** Nothing is assumed: all items alike. */
  | { readonly provenance: 'uniform'; readonly probability: Float64Array };

/**
 * The effective error of private training (Ding et al. 2024, Definition 4.1 and Claim 4.2): noise of standard deviation
 * σ/B reaches every weight, and σ/(B pᵢ) the embedding row of item i, which only a share pᵢ of the samples moves.
 */
export interface EffectiveError {
  /** σ, in units of the clipping norm. */
  readonly noiseMultiplier: number;
  /** B, the expected batch size, not that of a draw. */
  readonly expectedBatchSize: number;
  /** `probability[i]`: the share of sequences that contain item i (0 is the padding item), in [0, 1]. */
  readonly frequencies: ItemFrequencies;
}

/** A model whose attention corrects for the error; `null` switches the correction off. */
export interface AcceptsEffectiveError {
  setEffectiveError(error: EffectiveError | null): void;
}
