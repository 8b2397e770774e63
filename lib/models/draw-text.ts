// Draws a continuation from a language model, one character at a time.

import * as check from '../check';
import { Prng } from '../data/synthetic/prng';

/** Scores of what comes next; index 0 is padding and never drawn. */
export interface NextScorer {
  scores(context: Int32Array): Float32Array;
}

export interface DrawOptions {
  /** Characters to draw. */
  readonly length: number;
  /** Logits are divided by it: below 1 the likely ones are drawn more often; 0 takes the best. Default 1. */
  readonly temperature?: number;
  /** Equal seeds draw equal texts. Default 0. */
  readonly seed?: number;
}

/**
 * What a model draws depends on its weights alone: text from a private model is covered by its ε.
 *
 * @param start  Ids of the characters to go on from, at least one.
 * @returns The ids that were drawn, without `start`.
 * @throws ERR_INVALID_ARGUMENT
 */
export function drawText(model: NextScorer, start: Int32Array, options: DrawOptions): Int32Array {
  check.able('drawText', { model }, 'scores', 'a language model');
  check.row('drawText', { start });
  check.onlyKnown('drawText', options, ['length', 'temperature', 'seed']);
  const { length, temperature = 1, seed = 0 } = options;
  check.integer('drawText', { length }, 0);
  check.notNegative('drawText', { temperature });
  check.integer('drawText', { seed });
  const random = new Prng(seed);
  const ids = new Int32Array(start.length + length);
  ids.set(start);
  for (let k = start.length; k < ids.length; k++) {
    ids[k] = choose(model.scores(ids.subarray(0, k)), temperature, random);
  }
  return ids.subarray(start.length);
}

function choose(scores: Float32Array, temperature: number, random: Prng): number {
  let best = 1;
  for (let id = 2; id < scores.length; id++) if ((scores[id] as number) > (scores[best] as number)) best = id;
  if (temperature === 0) return best;
  const top = scores[best] as number;
  const weights = Float64Array.from(scores, (score, id) => (id === 0 ? 0 : Math.exp((score - top) / temperature)));
  let left = random.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
  for (let id = 1; id < weights.length; id++) if ((left -= weights[id] as number) < 0) return id;
  return best; // rounding has eaten the last weight
}
