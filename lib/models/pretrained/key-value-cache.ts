// Keys and values of the tokens that a generating model has read, so that each new token costs one row.

import { raise } from '../../errors';
import { beside, keep, noGrad, type Tensor, tidy, torch, zeros } from '../../tensor';
import type { Attention } from './attention';

/** Texts stand in it side by side, each beginning at 0: neither prompts nor caches are padded on the left. Free it with `dispose()`. */
export class KeyValueCache {
  readonly #layers = new Map<Attention, { keys: Tensor; values: Tensor }>();
  #lengths: readonly number[];
  #places: Tensor | null = null;
  #started = false;

  /**
   * @param lengths  Tokens of each prompt, in the order of their rows.
   * @param capacity  Tokens of the longest text that will be.
   */
  constructor(
    lengths: readonly number[],
    readonly capacity: number,
  ) {
    this.#lengths = lengths;
  }

  /** False while the prompts themselves run. */
  get started(): boolean {
    return this.#started;
  }

  get lengths(): readonly number[] {
    return this.#lengths;
  }

  /** Keeps the keys and values of the prompts: `[N, keyHeads * headDim]`, packed. */
  store(layer: Attention, keys: Tensor, values: Tensor): void {
    this.#places ??= keep(
      beside(
        keys,
        BigInt64Array.from(
          this.#lengths.flatMap((length, text) => Array.from({ length }, (_, k) => BigInt(text * this.capacity + k))),
        ),
      ),
    );
    const held = (rows: Tensor): Tensor => {
      const width = rows.shape[1] as number;
      const all = zeros([this.#lengths.length * this.capacity, width], { dtype: rows.dtype, device: rows.device });
      return keep(all.indexCopy_(0, this.#places as Tensor, rows));
    };
    noGrad(() => this.#layers.set(layer, { keys: held(keys), values: held(values) }));
  }

  /** The prompts have run, or a token of every text: from here on the cache is read, and texts are one longer. */
  advance(): void {
    if (this.#started) this.#lengths = this.#lengths.map((length) => length + 1);
    this.#started = true;
  }

  /** Continues with text `chosen[k]` as text k: what beams do after every token. */
  reorder(chosen: readonly number[]): void {
    this.#lengths = chosen.map((text) => this.#lengths[text] as number);
    const [some] = this.#layers.values();
    if (some === undefined) return;
    const rows = beside(some.keys, BigInt64Array.from(chosen, BigInt));
    for (const held of this.#layers.values()) {
      for (const name of ['keys', 'values'] as const) {
        const before = held[name];
        const width = before.shape[1] as number;
        held[name] = keep(tidy(() => before.view([-1, this.capacity, width]).indexSelect(0, rows).view([-1, width])));
        before.dispose();
      }
    }
    rows.dispose();
  }

  /**
   * Attention of one new row a text: adds its key and value, then reads all of the text.
   *
   * @param bias  Added to the logits: `[texts or 1, heads, 1, length]`, the longest text with its new row.
   * @returns `[texts, heads * headDim]`
   */
  attend(layer: Attention, query: Tensor, key: Tensor, value: Tensor, bias?: Tensor): Tensor {
    const held = this.#layers.get(layer) ?? raise('ERR_INVALID_ARGUMENT', 'KeyValueCache: this layer has not run.');
    const texts = this.#lengths.length;
    if (query.shape[0] !== texts)
      raise('ERR_INVALID_ARGUMENT', `KeyValueCache: expected one row for each of ${texts} texts.`);
    const most = Math.max(...this.#lengths) + 1;
    if (most > this.capacity)
      raise('ERR_INVALID_ARGUMENT', `KeyValueCache: there is room for ${this.capacity} tokens.`);
    const { headDim, heads, keyHeads } = layer;
    const places = beside(
      key,
      BigInt64Array.from(this.#lengths, (n, text) => BigInt(text * this.capacity + n)),
    );
    held.keys.indexCopy_(0, places, key);
    held.values.indexCopy_(0, places, value);
    const seen = (rows: Tensor): Tensor =>
      rows.view([texts, this.capacity, keyHeads, headDim]).narrow(1, 0, most).transpose(1, 2);
    const mask = beside(
      key,
      Uint8Array.from({ length: texts * most }, (_, k) =>
        Number(k % most <= (this.#lengths[Math.floor(k / most)] as number)),
      ),
      [texts, 1, 1, most],
    ).to('bool');
    const queries = query.view([texts, heads, 1, headDim]);
    const mixed = torch.ops.aten.scaled_dot_product_attention(
      queries,
      seen(held.keys),
      seen(held.values),
      bias === undefined ? mask : bias.maskedFill(mask.logicalNot(), -Infinity),
      0,
      false,
      {
        enable_gqa: keyHeads !== heads,
      },
    );
    return mixed.reshape([texts, heads * headDim]);
  }

  dispose(): void {
    this.#places?.dispose();
    for (const { keys, values } of this.#layers.values()) {
      keys.dispose();
      values.dispose();
    }
    this.#layers.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
