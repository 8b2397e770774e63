// Texts that grow: each step reads one token of every text and gives the logits of the next.

import { type TokenBatch, tokenBatch, type TokenExample } from '../../data';
import { raise } from '../../errors';
import { Segments, withSegments } from '../../nn';
import { beside, noGrad, type Tensor } from '../../tensor';
import type { CausalLM } from '../pretrained/causal-lm';
import { KeyValueCache } from '../pretrained/key-value-cache';
import { inTextScope } from '../pretrained/text-scope';

/** What chooses tokens sees of a model. */
export interface GrowingTexts {
  /** Logits of the token after each text, `[texts][vocabulary]`. */
  readonly logits: readonly Float64Array[];

  /** Goes on with text `chosen[k]` as text k, and adds `tokens[k]` to it. */
  advance(chosen: readonly number[], tokens: readonly number[]): void;
}

/** Keys and values of the past are kept, so that a token costs one row, whatever came before it. Free it with `dispose()`. */
export class Decoder implements GrowingTexts {
  logits: Float64Array[];
  readonly #model: CausalLM;
  readonly #cache: KeyValueCache;
  readonly #before: number;

  /**
   * @param prompts  Their padding, on whatever side, is left out.
   * @throws ERR_INVALID_ARGUMENT for empty prompts, unknown tokens, and texts that would outgrow the positions of the model.
   */
  constructor(model: CausalLM, prompts: readonly TokenExample[], maxNewTokens: number) {
    const batch = tokenBatch(prompts);
    const lengths = Array.from(batch.texts.slice(1), (end, text) => Number(end - (batch.texts[text] as bigint)));
    const most = Math.max(0, ...lengths) + maxNewTokens;
    const { maxLength, prefix } = model.backbone;
    // The last new token is never read, and so needs no position.
    if (most - 1 > maxLength) {
      raise(
        'ERR_INVALID_ARGUMENT',
        `generate: the longest prompt and maxNewTokens are ${most} tokens together, the model has ${maxLength} positions.`,
      );
    }
    this.#model = model;
    // Prefixes are kept with the texts that they stand before.
    this.#before = prefix?.length ?? 0;
    this.#cache = new KeyValueCache(
      lengths.map((length) => length + this.#before),
      most + this.#before,
    );
    this.logits = this.#run(batch, (hidden) =>
      hidden.indexSelect(
        0,
        beside(
          hidden,
          batch.texts.slice(1).map((end) => end - 1n),
        ),
      ),
    );
  }

  advance(chosen: readonly number[], tokens: readonly number[]): void {
    const texts = this.#cache.lengths.length;
    if (chosen.length !== texts || chosen.some((text, k) => text !== k)) this.#cache.reorder(chosen);
    const offsets = BigInt64Array.from({ length: chosen.length + 1 }, (_, k) => BigInt(k));
    const rows: TokenBatch = {
      samples: chosen.length,
      rows: chosen.length,
      ids: BigInt64Array.from(tokens, BigInt),
      positions: BigInt64Array.from(this.#cache.lengths, (length) => BigInt(length - this.#before)),
      offsets,
      texts: offsets,
      columns: new BigInt64Array(chosen.length),
      width: 1,
      completesStep: true,
    };
    this.logits = this.#run(rows, (hidden) => hidden);
  }

  dispose(): void {
    this.#cache.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #run(rows: TokenBatch, last: (hidden: Tensor) => Tensor): Float64Array[] {
    const { backbone } = this.#model;
    const flat = noGrad(() =>
      inTextScope(
        rows,
        backbone,
        (scope) => {
          const ends = last(backbone.forward(scope));
          using single = Segments.equal(ends.shape[0] as number);
          return withSegments(single, () => this.#model.score(ends))
            .to('float64')
            .toTypedArray() as Float64Array;
        },
        this.#cache,
      ),
    );
    this.#cache.advance();
    const { vocabulary } = backbone;
    return Array.from({ length: flat.length / vocabulary }, (_, k) =>
      flat.subarray(k * vocabulary, (k + 1) * vocabulary),
    );
  }
}
