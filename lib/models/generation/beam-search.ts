// Beam search as Hugging Face runs it: the same candidates, the same comparison of complete texts, the same end.

import type { GrowingTexts } from './decoder';
import type { Generation } from './options';
import { constrain, largestOf, logSoftmax } from './scores';

/** A continuation and the sum of its log probabilities. */
interface Beam {
  readonly tokens: readonly number[];
  readonly score: number;
}

/** One that goes on, and which beam before it continues. */
interface Open extends Beam {
  readonly parent: number;
}

/** A score below all others: that of a beam which does not exist. */
const NOTHING = -1e9;

/** The search of one prompt. */
class Search {
  open: readonly Open[];
  #complete: Beam[] = [];
  #done = false;

  constructor(
    readonly prompt: readonly number[],
    private readonly generation: Generation,
  ) {
    // All beams begin alike: only the first may be continued.
    const { numBeams } = generation;
    this.open = Array.from({ length: numBeams }, (_, k) => ({ tokens: [], score: k === 0 ? 0 : NOTHING, parent: 0 }));
  }

  get done(): boolean {
    return this.#done;
  }

  /** The best complete text. */
  get best(): readonly number[] {
    return this.#complete[0]!.tokens;
  }

  /** @param logits  Of the token after each open beam. */
  step(logits: readonly Float64Array[]): void {
    const { numBeams, eos, maxNewTokens, lengthPenalty, earlyStopping } = this.generation;
    const candidates = this.#candidates(logits);
    const length = candidates[0]!.tokens.length;
    const ends = ({ tokens }: Beam): boolean => tokens.length >= maxNewTokens || eos.has(tokens.at(-1) as number);
    const full = this.#complete.length === numBeams;
    if (!(full && earlyStopping === true)) {
      // Only candidates among the best few may end a text: a worse one would never have been chosen.
      const ended = candidates.slice(0, numBeams).filter(ends);
      const rated = ended.map(({ tokens, score }) => ({ tokens, score: score / length ** lengthPenalty }));
      this.#complete = [...this.#complete, ...rated].sort((a, b) => b.score - a.score).slice(0, numBeams);
    }
    this.open = candidates.filter((candidate) => !ends(candidate)).slice(0, numBeams);
    this.#done = this.open.length === 0 || !this.#canImprove(length);
  }

  #candidates(logits: readonly Float64Array[]): Open[] {
    const { numBeams, eos } = this.generation;
    const all = this.open.flatMap(({ tokens, score }, parent) => {
      const scores = logSoftmax(logits[parent] as Float64Array);
      constrain(scores, this.prompt, tokens, this.generation);
      return Array.from(scores, (own) => own + score);
    });
    const vocabulary = logits[0]!.length;
    // As many as leave numBeams open ones even if every end token is among the best.
    return largestOf(all, Math.max(2, 1 + eos.size) * numBeams).map((index) => {
      const parent = Math.floor(index / vocabulary);
      return { tokens: [...this.open[parent]!.tokens, index % vocabulary], score: all[index] as number, parent };
    });
  }

  #canImprove(length: number): boolean {
    const { numBeams, maxNewTokens, lengthPenalty, earlyStopping } = this.generation;
    if (this.#complete.length < numBeams) return true;
    if (earlyStopping === true) return false;
    const reach = earlyStopping === 'never' && lengthPenalty > 0 ? maxNewTokens : length;
    return this.open[0]!.score / reach ** lengthPenalty > this.#complete.at(-1)!.score;
  }
}

/** @param decoder  Of the prompts, each once. @returns The new tokens of each. */
export function beamSearch(
  decoder: GrowingTexts,
  prompts: readonly (readonly number[])[],
  generation: Generation,
): number[][] {
  const searches = prompts.map((prompt) => new Search(prompt, generation));
  // Where the beams of each search stand among the texts of the decoder; at first they share one.
  let places = searches.map((_, text) => Array.from({ length: generation.numBeams }, () => text));
  for (;;) {
    searches.forEach((search, s) => {
      if (!search.done) search.step((places[s] as number[]).map((place) => decoder.logits[place] as Float64Array));
    });
    const going = searches.flatMap((search, s) =>
      search.done
        ? []
        : search.open.map(({ tokens, parent }) => ({
            from: places[s]![parent] as number,
            token: tokens.at(-1) as number,
          })),
    );
    if (going.length === 0) return searches.map(({ best }) => [...best]);
    decoder.advance(
      going.map(({ from }) => from),
      going.map(({ token }) => token),
    );
    let next = 0;
    places = searches.map((search) => (search.done ? [] : search.open.map(() => next++)));
  }
}
