// How often items occur as the logits that a softmax starts from.

import { raise } from '../errors';

/**
 * `[items + 1]` log(p_i / Σ p) for items from 1 on; 0 for padding, which is never predicted.
 *
 * @param probability  `[items + 1]`, index 0 is padding and not read. Any positive scale: shares of sequences or of actions.
 * @throws ERR_INVALID_ARGUMENT for another number of items, or one that is not above 0 and finite.
 */
export function logPrior(probability: Float64Array, items: number): Float32Array {
  if (probability.length !== items + 1) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `outputBias: the model has ${items} items and padding, the frequencies are of ${probability.length}. Give one for every item ` +
        `of the model's vocabulary.`,
    );
  }
  const wrong = probability.findIndex((p, i) => i > 0 && !(p > 0 && Number.isFinite(p)));
  if (wrong > 0) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `outputBias: the frequency of item ${wrong} is ${probability[wrong]}; log of it would rule the item out. Give it a small share.`,
    );
  }
  const total = probability.subarray(1).reduce((sum, p) => sum + p, 0);
  return Float32Array.from(probability, (p, i) => (i === 0 ? 0 : Math.log(p / total)));
}
