// What is done to the scores of the next token before one is chosen.

import type { Generation } from './options';

export function logSoftmax(logits: Float64Array): Float64Array {
  const top = logits.reduce((most, value) => Math.max(most, value), -Infinity);
  const lse = top + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - top), 0));
  return logits.map((value) => value - lse);
}

/** Makes what the text already holds less likely, or impossible. Changes `scores`, which it returns. @param text  With its prompt. */
export function discourageRepeats(
  scores: Float64Array,
  text: readonly number[],
  { repetitionPenalty, noRepeatNgramSize: size }: Pick<Generation, 'repetitionPenalty' | 'noRepeatNgramSize'>,
): Float64Array {
  if (repetitionPenalty !== 1) {
    for (const token of new Set(text)) {
      const score = scores[token] as number;
      scores[token] = score < 0 ? score * repetitionPenalty : score / repetitionPenalty;
    }
  }
  if (size === 0 || text.length + 1 < size) return scores;
  const last = text.slice(text.length - (size - 1));
  for (let start = 0; start + size <= text.length; start++) {
    if (last.every((token, k) => token === text[start + k])) scores[text[start + size - 1] as number] = -Infinity;
  }
  return scores;
}

/**
 * All that is asked of the next token beside its likelihood: repeats, then a least length, then tokens that must stand at the
 * beginning and at the end. Changes `scores`, which it returns.
 *
 * @param made  The new tokens so far.
 */
export function constrain(
  scores: Float64Array,
  prompt: readonly number[],
  made: readonly number[],
  generation: Generation,
): Float64Array {
  const { minNewTokens, maxNewTokens, forcedBosTokenId, forcedEosTokenId, eos } = generation;
  discourageRepeats(scores, [...prompt, ...made], generation);
  if (made.length < minNewTokens) for (const token of eos) scores[token] = -Infinity;
  if (made.length === 0 && forcedBosTokenId !== null)
    scores.fill(-Infinity).fill(0, forcedBosTokenId, forcedBosTokenId + 1);
  if (made.length === maxNewTokens - 1 && forcedEosTokenId !== null)
    scores.fill(-Infinity).fill(0, forcedEosTokenId, forcedEosTokenId + 1);
  return scores;
}

/** The index of the largest entry; the first of equal ones. */
export function largest(scores: Float64Array): number {
  return scores.reduce((best, value, k) => (value > (scores[best] as number) ? k : best), 0);
}

/** Indices of the `count` largest entries, largest first; of equal ones the first. */
export function largestOf(scores: ArrayLike<number>, count: number): number[] {
  const order = Array.from({ length: scores.length }, (_, k) => k);
  return order.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b).slice(0, count);
}

/** Draws a token: temperature, then the likeliest k, then the nucleus of probability `topP`. @param uniform  In [0, 1). */
export function drawToken(
  logits: Float64Array,
  { temperature, topK, topP }: Pick<Generation, 'temperature' | 'topK' | 'topP'>,
  uniform: number,
): number {
  const scaled = logits.map((value) => value / temperature);
  const order = largestOf(scaled, topK === 0 ? scaled.length : topK);
  const top = scaled[order[0] as number] as number;
  const weights = order.map((token) => Math.exp((scaled[token] as number) - top));
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  let kept = 0;
  let mass = 0;
  // At least one; the token that reaches the probability is the last.
  while (kept < order.length && (kept === 0 || mass < topP * whole)) mass += weights[kept++] as number;
  let left = uniform * mass;
  for (let k = 0; k + 1 < kept; k++) {
    left -= weights[k] as number;
    if (left < 0) return order[k] as number;
  }
  return order[kept - 1] as number;
}
