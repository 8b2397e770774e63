// Prefix tuning (Li and Liang 2021, arXiv 2101.00190): trained keys and values that stand before every text, in every layer.

import type { TokenRows } from '../../data';
import { Embedding, type Initializer, Linear, Module, type ParameterType, type Segments, withSegments } from '../../nn';
import { beside, fromTypedArray, type Tensor, torch, zeros } from '../../tensor';
import type { Attention } from './attention';

export interface PrefixShape {
  /** Rows before a text. */
  readonly length: number;
  /** Attention layers in the order in which they run, all of one width of keys. */
  readonly layers: readonly Attention[];
  /** Width of the network that makes keys and values of a smaller table; null: the table holds them. */
  readonly projection: number | null;
  readonly init: Initializer;
  readonly dtype: ParameterType;
}

/**
 * Every sample reads the same rows of one table, so that each row's gradient in a sample is that of the sample's own copy: per-sample
 * norms are exact by the rules of the table and of linear layers, and need none of their own.
 */
export class Prefix extends Module {
  /** `[length, 2 * layers * width]`; with a projection `[length, width]`. */
  readonly table: Embedding;
  /** With a projection: keys and values are outer(tanh(inner(row))). */
  readonly inner: Linear | null;
  readonly outer: Linear | null;
  readonly length: number;
  /** Of the keys of a layer. */
  readonly width: number;
  readonly keyHeads: number;
  /** Width of the network; null without one. */
  readonly projection: number | null;
  // Not a property: these modules belong to the model, and are no part of this one.
  readonly #layers: readonly Attention[];

  constructor({ length, layers, projection, init, dtype }: PrefixShape) {
    super();
    const { keyHeads, headDim } = layers[0]!;
    const width = keyHeads * headDim;
    const columns = 2 * layers.length * width;
    const making = { init, dtype };
    this.table = new Embedding(length, projection === null ? columns : width, {
      ...making,
      std: projection === null ? 0.02 : 1,
    });
    this.inner = projection === null ? null : new Linear(width, projection, making);
    this.outer = projection === null ? null : new Linear(projection, columns, { ...making, std: 0.02 });
    this.length = length;
    this.width = width;
    this.keyHeads = keyHeads;
    this.projection = projection;
    this.#layers = layers;
  }

  get layers(): number {
    return this.#layers.length;
  }

  /** Keys and values of all layers, a key before its value: `[ids, 2 * layers * width]`. @param ids int64, of rows of the surrounding segments */
  forward(ids: Tensor): Tensor {
    const rows = this.table.forward(ids);
    return this.inner === null ? rows : this.outer!.forward(this.inner.forward(rows).tanh());
  }

  /** Keys and values as numbers, whatever makes them: `[length, 2 * layers * width]`. A new tensor, without gradient when called so. */
  flat(): Tensor {
    const { weight } = this.table;
    if (this.inner === null) return weight.clone();
    const { aten } = torch.ops;
    return aten.linear(
      aten.linear(weight, this.inner.weight, this.inner.bias).tanh(),
      this.outer!.weight,
      this.outer!.bias,
    );
  }

  /** The prefixes of a batch. @param segments  Of its samples. */
  before({ texts, offsets, samples }: TokenRows, segments: Segments): PrefixRows {
    const { length } = this;
    const { weight } = this.table;
    using own = segments.withOffsets(BigInt64Array.from({ length: samples + 1 }, (_, b) => BigInt(b * length)));
    const ids = BigInt64Array.from({ length: samples * length }, (_, k) => BigInt(k % length));
    const all = withSegments(own, () => this.forward(beside(weight, ids)));
    const parts = all.split(this.width, 1);
    const layers = new Map(
      this.#layers.map((layer, k) => [layer, { keys: parts[2 * k]!, values: parts[2 * k + 1]! }] as const),
    );
    return new PrefixRows(layers, texts, offsets, length);
  }
}

/** Rows of keys and values of one batch: those of a text stand right before its own rows. */
export class PrefixRows {
  /** `[texts + 1]` on the CPU: where each text begins and ends with its prefix. */
  readonly texts: Tensor;
  readonly #layers: ReadonlyMap<Attention, { readonly keys: Tensor; readonly values: Tensor }>;
  /** Of every row, its place among prefix rows and then rows of texts. */
  readonly #order: BigInt64Array;
  /** Of every row of a text, its place in that order. */
  readonly #places: BigInt64Array;
  readonly #most: number;

  constructor(
    layers: ReadonlyMap<Attention, { readonly keys: Tensor; readonly values: Tensor }>,
    texts: BigInt64Array,
    offsets: BigInt64Array,
    length: number,
  ) {
    const [order, places]: [bigint[], bigint[]] = [[], []];
    const most = (offsets.length - 1) * length;
    let sample = 0;
    for (let text = 0; text + 1 < texts.length; text++) {
      const [begin, end] = [texts[text] as bigint, texts[text + 1] as bigint];
      while ((offsets[sample + 1] as bigint) <= begin && sample + 2 < offsets.length) sample++;
      for (let k = 0; k < length; k++) order.push(BigInt(sample * length + k));
      for (let row = begin; row < end; row++) {
        places.push(BigInt(order.length));
        order.push(BigInt(most) + row);
      }
    }
    this.texts = fromTypedArray(texts.map((end, text) => end + BigInt(text * length)));
    this.#layers = layers;
    this.#order = BigInt64Array.from(order);
    this.#places = BigInt64Array.from(places);
    this.#most = most;
  }

  /**
   * Puts the prefix of `layer` before the rows of every text. Queries get rows of zeros there, which read what nobody asks for.
   *
   * @param query `[N, heads * headDim]` @param key `[N, keyHeads * headDim]` @returns the same with more rows
   */
  join(layer: Attention, query: Tensor, key: Tensor, value: Tensor): [query: Tensor, key: Tensor, value: Tensor] {
    const { keys, values } = this.#layers.get(layer)!;
    const order = beside(key, this.#order);
    const { aten } = torch.ops;
    const idle = zeros([this.#most, query.shape[1] as number], { dtype: query.dtype, device: query.device });
    const joined = (first: Tensor, then: Tensor): Tensor => aten.cat([first, then], 0).indexSelect(0, order);
    return [joined(idle, query), joined(keys, key), joined(values, value)];
  }

  /** The rows of the texts alone. */
  drop(rows: Tensor): Tensor {
    return rows.indexSelect(0, beside(rows, this.#places));
  }
}
