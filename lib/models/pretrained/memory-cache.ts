// What the layers of a decoder make of the text that was read, kept while the other text grows.

import { raise } from '../../errors';
import { beside, keep, noGrad, type Tensor, tidy, torch } from '../../tensor';
import { type AttentionBlocks, toBlocks } from './attention-blocks';
import type { CrossAttention } from './cross-attention';

interface Held {
  /** `[texts, heads, length, headDim]`. */
  keys: Tensor;
  values: Tensor;
  /** bool `[texts, 1, 1, length]`, true where a text has ended. */
  hidden: Tensor;
}

const FIELDS = ['keys', 'values', 'hidden'] as const;

/** Free it with `dispose()`. */
export class MemoryCache {
  readonly #layers = new Map<CrossAttention, Held>();
  #started = false;

  /** False until every layer has run once. */
  get started(): boolean {
    return this.#started;
  }

  /** All layers have run: from here on they read what is kept. */
  start(): void {
    this.#started = true;
  }

  /** @param keys `[M, heads * headDim]` packed @param values the same shape */
  store(layer: CrossAttention, keys: Tensor, values: Tensor, blocks: AttentionBlocks): void {
    const { keyPlaces, samples, keys: length, hidden } = blocks;
    const held = (rows: Tensor): Tensor => keep(toBlocks(rows, keyPlaces, samples, length, layer.heads).contiguous());
    noGrad(() => this.#layers.set(layer, { keys: held(keys), values: held(values), hidden: keep(hidden.clone()) }));
  }

  /** Continues with text `chosen[k]` as text k. */
  reorder(chosen: readonly number[]): void {
    const [first] = this.#layers.values();
    if (first === undefined) return;
    const rows = beside(first.keys, BigInt64Array.from(chosen, BigInt));
    for (const held of this.#layers.values()) {
      for (const name of FIELDS) {
        const before = held[name];
        held[name] = keep(tidy(() => before.indexSelect(0, rows)));
        before.dispose();
      }
    }
    rows.dispose();
  }

  /** @param query `[texts, heads * headDim]` one row a text @returns the same shape */
  attend(layer: CrossAttention, query: Tensor): Tensor {
    const { keys, values, hidden } =
      this.#layers.get(layer) ?? raise('ERR_INVALID_ARGUMENT', 'MemoryCache: this layer has not run.');
    const { heads, headDim, scale } = layer;
    const texts = query.shape[0] as number;
    const scores = query.view([texts, heads, 1, headDim]).matmul(keys.transpose(-1, -2)).mul(scale);
    const weights = torch.ops.aten.softmax(scores.maskedFill(hidden, -Infinity), -1);
    return weights.matmul(values).reshape([texts, heads * headDim]);
  }

  dispose(): void {
    for (const held of this.#layers.values()) for (const name of FIELDS) held[name].dispose();
    this.#layers.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
