// The one interface of everything that ranks items: a trained model, a baseline, or the law of generated data.

/** Scores for the next item after a history. Higher is better; equal scores are ties. */
export interface Scorer {
  /** Items are 1..itemCount. */
  readonly itemCount: number;
  /**
   * @param history  Item numbers in time order, most recent last; may be empty.
   * @returns `[itemCount + 1]`, the score of item i at index i; index 0 (padding) is never read. Valid until the next call.
   */
  scores(history: Int32Array): Float32Array;
  /**
   * Scores of many histories at once, where that is cheaper: `[histories.length, itemCount + 1]`, row by row.
   */
  scoresBatch?(histories: readonly Int32Array[]): Float32Array;
}
