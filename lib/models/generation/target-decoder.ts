// Texts that grow from other texts: those are read once, and each step reads one token of every text and gives the logits of the next.

import { tokenBatch, type TokenExample } from '../../data';
import { raise } from '../../errors';
import { Segments, withSegments } from '../../nn';
import { beside, noGrad, type Tensor, tidy } from '../../tensor';
import type { ConditionalGeneration } from '../pretrained/conditional-generation';
import { readAndWrite } from '../pretrained/encoder-decoder';
import { KeyValueCache } from '../pretrained/key-value-cache';
import { MemoryCache } from '../pretrained/memory-cache';
import { inTextScope } from '../pretrained/text-scope';
import type { GrowingTexts } from './decoder';

/** Every text begins with the start token. Free it with `dispose()`. */
export class TargetDecoder implements GrowingTexts {
  logits: Float64Array[];
  readonly #model: ConditionalGeneration;
  readonly #own: KeyValueCache;
  readonly #memory = new MemoryCache();

  /**
   * @param sources  What is read. Their padding, on whatever side, is left out.
   * @throws ERR_INVALID_ARGUMENT for empty sources, unknown tokens, and texts that would outgrow the positions of the model.
   */
  constructor(
    model: ConditionalGeneration,
    sources: readonly TokenExample[],
    { start, maxNewTokens }: { readonly start: number; readonly maxNewTokens: number },
  ) {
    const { backbone } = model;
    // The last new token is never read, but the start token is.
    if (maxNewTokens > backbone.maxLength) {
      raise(
        'ERR_INVALID_ARGUMENT',
        `generate: maxNewTokens is ${maxNewTokens}, the model has ${backbone.maxLength} positions.`,
      );
    }
    const batch = tokenBatch(sources);
    const texts = sources.map((_, text) => BigInt(text));
    this.#model = model;
    this.#own = new KeyValueCache(
      texts.map(() => 1),
      maxNewTokens,
    );
    const first = {
      ids: BigInt64Array.from(texts, () => BigInt(start)),
      positions: new BigInt64Array(texts.length),
      offsets: BigInt64Array.from([...texts, BigInt(texts.length)]),
    };
    try {
      this.logits = noGrad(() =>
        inTextScope(batch, backbone, (scope) =>
          readAndWrite(backbone, scope, first, (hidden) => this.#score(hidden), {
            own: this.#own,
            memory: this.#memory,
          }),
        ),
      );
    } catch (error) {
      this.dispose();
      throw error;
    }
    this.#own.advance();
    this.#memory.start();
  }

  advance(chosen: readonly number[], tokens: readonly number[]): void {
    const before = this.#own.lengths;
    if (chosen.length !== before.length || chosen.some((text, k) => text !== k)) {
      this.#own.reorder(chosen);
      this.#memory.reorder(chosen);
    }
    using segments = Segments.equal(chosen.length);
    this.logits = noGrad(() =>
      withSegments(segments, () =>
        tidy(() => {
          const hidden = this.#model.backbone.decode({
            ids: beside(this.#model.table, BigInt64Array.from(tokens, BigInt)),
            positions: beside(this.#model.table, BigInt64Array.from(this.#own.lengths, BigInt)),
            texts: segments.cuSeqlens,
            textKeys: segments.sampleKeys,
            cache: this.#own,
            segments,
            memory: { rows: null, segments: null, blocks: null, cache: this.#memory },
          });
          return this.#score(hidden);
        }),
      ),
    );
    this.#own.advance();
  }

  dispose(): void {
    this.#own.dispose();
    this.#memory.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #score(hidden: Tensor): Float64Array[] {
    const { vocabulary } = this.#model.backbone;
    const flat = this.#model.score(hidden).to('float64').toTypedArray() as Float64Array;
    return Array.from({ length: flat.length / vocabulary }, (_, k) => flat.slice(k * vocabulary, (k + 1) * vocabulary));
  }
}
