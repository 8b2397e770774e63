// How often classes are right: accuracy, macro-F1, Matthews correlation.

import * as check from '../../check';
import { raise } from '../../errors';

/** Counts of (true class, predicted class): `[classes, classes]`, row-major. */
function confusion(
  operation: string,
  truth: ArrayLike<number>,
  predicted: ArrayLike<number>,
  classes: number,
): Float64Array {
  check.integer(operation, { classes }, 2);
  checkLists(operation, truth, predicted);
  const counts = new Float64Array(classes * classes);
  for (let k = 0; k < truth.length; k++) {
    for (const value of [truth[k]!, predicted[k]!]) check.integer(operation, { class: value }, 0, classes - 1);
    counts[truth[k]! * classes + predicted[k]!]! += 1;
  }
  return counts;
}

/** Share of examples whose predicted class is the true one. @throws ERR_INVALID_ARGUMENT for lists of other lengths, or empty ones. */
export function accuracy(truth: ArrayLike<number>, predicted: ArrayLike<number>): number {
  checkLists('accuracy', truth, predicted);
  let right = 0;
  for (let k = 0; k < truth.length; k++) if (truth[k] === predicted[k]) right += 1;
  return right / truth.length;
}

/**
 * Mean over all classes of F1 = 2 TP / (2 TP + FP + FN); a class that is neither true nor predicted anywhere counts 0.
 *
 * @param classes  Number of classes, whether they occur or not.
 */
export function macroF1(truth: ArrayLike<number>, predicted: ArrayLike<number>, classes: number): number {
  const counts = confusion('macroF1', truth, predicted, classes);
  const { rows, columns } = sums(counts, classes);
  let total = 0;
  for (let c = 0; c < classes; c++) {
    const both = rows[c]! + columns[c]!;
    if (both > 0) total += (2 * counts[c * classes + c]!) / both;
  }
  return total / classes;
}

/**
 * Matthews correlation for any number of classes: covariance of truth and prediction over their standard deviations (Gorodkin 2004);
 * 0 where one of them is constant. CoLA's metric.
 */
export function matthews(truth: ArrayLike<number>, predicted: ArrayLike<number>, classes = 2): number {
  const counts = confusion('matthews', truth, predicted, classes);
  const { rows, columns } = sums(counts, classes);
  const n = truth.length;
  const products = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, c) => sum + value * b[c]!, 0);
  const covariance = diagonal(counts, classes) * n - products(rows, columns);
  const spread = (n * n - products(rows, rows)) * (n * n - products(columns, columns));
  return spread === 0 ? 0 : covariance / Math.sqrt(spread);
}

/**
 * exp of the mean negative log-likelihood of a token.
 *
 * @param losses  Summed negative log-likelihood of each sequence, in nats.
 * @param tokens  Number of tokens that each sum is over; `perplexity` of several sequences weighs tokens alike, not sequences.
 * @throws ERR_INVALID_ARGUMENT for lists of other lengths or no tokens. @throws ERR_NOT_FINITE for a loss that is NaN.
 */
export function perplexity(losses: ArrayLike<number>, tokens: ArrayLike<number>): number {
  check.row('perplexity', { losses });
  check.row('perplexity', { tokens });
  if (losses.length !== tokens.length)
    raise(
      'ERR_INVALID_ARGUMENT',
      `perplexity: needs as many counts as losses, got ${tokens.length} and ${losses.length}.`,
    );
  let [loss, count] = [0, 0];
  for (let k = 0; k < losses.length; k++) {
    check.integer('perplexity', { tokens: tokens[k]! });
    loss += losses[k]!;
    count += tokens[k]!;
  }
  check.integer('perplexity', { tokens: count }, 1);
  if (Number.isNaN(loss)) raise('ERR_NOT_FINITE', 'perplexity: a loss is NaN.');
  return Math.exp(loss / count);
}

function checkLists(operation: string, truth: ArrayLike<number>, predicted: ArrayLike<number>): void {
  check.row(operation, { truth });
  check.row(operation, { predicted });
  if (truth.length !== predicted.length || truth.length === 0) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `${operation}: needs as many predictions as true classes, at least one, got ${predicted.length} and ${truth.length}.`,
    );
  }
}

function diagonal(counts: Float64Array, classes: number): number {
  let sum = 0;
  for (let c = 0; c < classes; c++) sum += counts[c * classes + c]!;
  return sum;
}

function sums(counts: Float64Array, classes: number): { rows: Float64Array; columns: Float64Array } {
  const [rows, columns] = [new Float64Array(classes), new Float64Array(classes)];
  counts.forEach((count, at) => {
    rows[Math.floor(at / classes)]! += count;
    columns[at % classes]! += count;
  });
  return { rows, columns };
}
