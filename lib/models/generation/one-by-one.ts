// Greedy decoding and sampling: each text takes one token at a time until it is complete.

import type { GrowingTexts } from './decoder';
import type { Generation } from './options';
import { constrain, drawToken, largest } from './scores';

/**
 * @param prompts  Without padding.
 * @param uniform  A number in [0, 1) for each text: its own sequence, so that other texts do not change what it becomes.
 * @returns The new tokens of each text.
 */
export function oneByOne(
  decoder: GrowingTexts,
  prompts: readonly (readonly number[])[],
  generation: Generation,
  uniform: (text: number) => number,
): number[][] {
  const made: number[][] = prompts.map(() => []);
  let open = prompts.map((_, text) => text);
  for (;;) {
    const next = open.map((text, k) => {
      const scores = (decoder.logits[k] as Float64Array).slice();
      constrain(scores, prompts[text] as number[], made[text] as number[], generation);
      return generation.doSample ? drawToken(scores, generation, uniform(text)) : largest(scores);
    });
    open.forEach((text, k) => made[text]!.push(next[k] as number));
    const going = open
      .map((_, k) => k)
      .filter((k) => {
        const complete = made[open[k] as number]!.length === generation.maxNewTokens;
        return !complete && !generation.eos.has(next[k] as number);
      });
    if (going.length === 0) return made;
    decoder.advance(
      going,
      going.map((k) => next[k] as number),
    );
    open = going.map((k) => open[k] as number);
  }
}
