// Losses over one positive and a few sampled negatives a row, where the whole vocabulary would be too much.

import * as check from '../check';
import { type Tensor, torch } from '../tensor';
import { perSampleLoss, type SampleLossOptions } from './losses';

const { aten, phantomgrad } = torch.ops;

export interface SampledLossOptions extends SampleLossOptions {
  /** `[N]`, not trained: weight of each row; 0 leaves it out. Default 1. */
  readonly weights?: Tensor | null;
  /** `[vocabulary]`, added to the scores. */
  readonly bias?: Tensor | null;
}

const KNOWN = ['reduction', 'weights', 'bias'] as const satisfies readonly (keyof SampledLossOptions)[];

/**
 * `score[t, k] = hidden_t · table[candidates[t, k]] + bias[candidates[t, k]]`. The per-sample norm is exact, also where the table
 * is an embedding's.
 *
 * @param hidden `[N, dim]` rows of the surrounding segments; without a scope N counts samples.
 * @param table `[vocabulary, dim]`. @param candidates int64 `[N, K]`. @param bias `[vocabulary]`. @returns `[N, K]`
 * @throws ERR_BATCH_DIMENSION; ERR_INVALID_ARGUMENT for an id outside the table
 */
export function candidateScores(hidden: Tensor, table: Tensor, candidates: Tensor, bias: Tensor | null = null): Tensor {
  return phantomgrad.candidate_scores(hidden, table, candidates, bias);
}

/**
 * Softmax cross entropy of the positive against itself and the row's negatives: `lse(scores_t) − score of y_t`. A negative that
 * equals the positive counts as a negative: draw others.
 *
 * Negatives must not come from the batch, nor from other people's data: a loss of one sample must not depend on another one.
 *
 * @param hidden `[N, dim]`. @param table `[vocabulary, dim]`, perhaps the weight of an embedding.
 * @param positives int64 `[N]`. @param negatives int64 `[N, K]`. @returns `[B]`; 0 for a sample in which nothing counts.
 * @throws ERR_BATCH_DIMENSION, ERR_INVALID_ARGUMENT
 * @see Jean et al. 2015, arXiv 1412.2007, section 3
 */
export function sampledCrossEntropy(
  hidden: Tensor,
  table: Tensor,
  positives: Tensor,
  negatives: Tensor,
  options: SampledLossOptions = {},
): Tensor {
  check.onlyKnown('sampledCrossEntropy', options, KNOWN);
  const scores = scoresOf(hidden, table, positives, negatives, options);
  const rows = aten.logsumexp(scores, [1]).sub(scores.select(1, 0));
  return weighted('sampledCrossEntropy', rows, options);
}

/**
 * Binary cross entropy, positive against 1 and negatives against 0: `softplus(−score of y_t) + Σ_k softplus(score of negative k)`,
 * the loss of SASRec. Otherwise as {@link sampledCrossEntropy}.
 *
 * @returns `[B]`
 * @see Kang and McAuley 2018, equation 6
 */
export function sampledBinaryCrossEntropy(
  hidden: Tensor,
  table: Tensor,
  positives: Tensor,
  negatives: Tensor,
  options: SampledLossOptions = {},
): Tensor {
  check.onlyKnown('sampledBinaryCrossEntropy', options, KNOWN);
  const scores = scoresOf(hidden, table, positives, negatives, options);
  const positive = scores.select(1, 0);
  // softplus(s) = −log σ(−s), which aten computes without overflow.
  const rows = aten
    .log_sigmoid(positive)
    .add(aten.log_sigmoid(scores.narrow(1, 1, negatives.shape[1]!).neg()).sum([1]))
    .neg();
  return weighted('sampledBinaryCrossEntropy', rows, options);
}

function scoresOf(
  hidden: Tensor,
  table: Tensor,
  positives: Tensor,
  negatives: Tensor,
  { bias = null }: SampledLossOptions,
): Tensor {
  check.able('sampled loss', { positives }, 'detach', 'a tensor');
  check.able('sampled loss', { negatives }, 'detach', 'a tensor');
  return candidateScores(hidden, table, aten.cat([positives.unsqueeze(1), negatives], 1), bias);
}

function weighted(operation: string, rows: Tensor, options: SampledLossOptions): Tensor {
  const { weights = null } = options;
  return perSampleLoss(operation, weights === null ? rows : rows.mul(weights), weights, options);
}
