// Attention with an additive bias, or from one text to another, on blocks of one sample each: what the packed operator does not do.

import { fromTypedArray, type Tensor, tidy, torch, zeros } from '../../tensor';
import { segmentsForDropout } from '../../nn/dropout';

/** Which rows attend to which: queries of every sample to keys of the same sample, each sample a block with room for the longest. */
export interface AttentionBlocks {
  readonly samples: number;
  /** Queries and keys of the longest sample. */
  readonly queries: number;
  readonly keys: number;
  /** int64 `[N]` place of every packed row of queries among `samples * queries`. */
  readonly queryPlaces: Tensor;
  readonly keyPlaces: Tensor;
  /** bool, broadcast to `[samples, 1, queries, keys]`: true where a query may not look. */
  readonly hidden: Tensor;
  /** Every pair of a query and a key of the same sample, in an order that other samples do not change. */
  readonly pairs: () => AttentionPairs;
}

interface AttentionPairs {
  /** int64 `[P]` among `samples * queries * keys`. */
  readonly places: Tensor;
  /** int64 `[B + 1]`. */
  readonly offsets: Tensor;
}

export interface BlockAttentionOptions {
  readonly heads: number;
  /** Logits are multiplied by this. */
  readonly scale: number;
  /** `[samples or 1, heads, queries, keys]`, added to the logits. */
  readonly bias: Tensor | null;
  /** Of attention weights. Null: none. */
  readonly dropout: { readonly p: number; readonly seed: number; readonly site: number } | null;
}

/**
 * @param queries `[B + 1]` rows of the queries of each sample @param keys `[B + 1]` the same of keys; no sample is without keys
 * @param causal  Query t sees the keys 0 to t; both are of one text, with equal offsets. @param device  Of the rows.
 */
export function attentionBlocks(
  queries: BigInt64Array,
  keys: BigInt64Array,
  causal: boolean,
  device: string,
): AttentionBlocks {
  const [ofQueries, ofKeys] = [lengthsOf(queries), lengthsOf(keys)];
  const samples = ofQueries.length;
  // A batch into which nothing was drawn still has blocks, of which there are none.
  const [most, mostKeys] = [Math.max(1, ...ofQueries), Math.max(1, ...ofKeys)];
  // Keys beyond the end of a text come after all of its queries: to a causal query, the order alone hides them.
  const [blocks, rows] = causal ? [1, most] : [samples, 1];
  const hidden = new Uint8Array(blocks * rows * mostKeys);
  for (let k = 0; k < hidden.length; k++) {
    const [key, row] = [k % mostKeys, Math.floor(k / mostKeys)];
    hidden[k] = Number(causal ? key > row : key >= (ofKeys[row] as number));
  }
  let pairs: AttentionPairs | null = null;
  return {
    samples,
    queries: most,
    keys: mostKeys,
    queryPlaces: int64(ofQueries.flatMap((n, b) => Array.from({ length: n }, (_, t) => b * most + t))).to(device),
    keyPlaces: int64(ofKeys.flatMap((n, b) => Array.from({ length: n }, (_, t) => b * mostKeys + t))).to(device),
    hidden: fromTypedArray(hidden, [blocks, 1, rows, mostKeys], 'bool').to(device),
    pairs: () => (pairs ??= pairsOf(ofQueries, ofKeys, most, mostKeys, device)),
  };
}

/** @param rows `[N, heads * headDim]` packed @param places  Of the rows, see {@link AttentionBlocks}. @returns `[samples, heads, length, headDim]` */
export function toBlocks(rows: Tensor, places: Tensor, samples: number, length: number, heads: number): Tensor {
  const width = rows.shape[1] as number;
  return zeros([samples * length, width], { dtype: rows.dtype, device: rows.device })
    .indexCopy(0, places, rows)
    .view([samples, length, heads, width / heads])
    .transpose(1, 2);
}

/**
 * softmax(scale Q Kᵀ + bias) V in every sample, for each head.
 *
 * @param query `[N, heads * headDim]` @param key `[M, heads * headDim]` @param value the same shape as `key`
 * @returns `[N, heads * headDim]`
 */
export function attendInBlocks(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  blocks: AttentionBlocks,
  options: BlockAttentionOptions,
): Tensor {
  const { samples, queries, keys, queryPlaces, keyPlaces, hidden } = blocks;
  const { heads, scale, bias, dropout } = options;
  if (samples === 0) return query;
  const width = query.shape[1] as number;
  const pairs = dropout === null ? null : blocks.pairs(); // kept for other layers, so not made inside
  // Freed at once, but for what the backward pass needs: of long texts, a block of weights for every step here would be most of the memory.
  return tidy(() => {
    const q = toBlocks(query, queryPlaces, samples, queries, heads);
    const k = toBlocks(key, keyPlaces, samples, keys, heads);
    const v = toBlocks(value, keyPlaces, samples, keys, heads);
    const scores = q.matmul(k.transpose(-1, -2)).mul_(scale);
    if (bias !== null) scores.add_(bias);
    const weights = torch.ops.aten.softmax(scores.maskedFill_(hidden, -Infinity), -1);
    const kept = dropout === null ? weights : dropWeights(weights, pairs!, dropout);
    const mixed = kept
      .matmul(v)
      .transpose(1, 2)
      .reshape([samples * queries, width]);
    return mixed.indexSelect(0, queryPlaces);
  });
}

// The mask of a sample is drawn over its own pairs alone: over whole blocks it would depend on how long other samples are.
function dropWeights(
  weights: Tensor,
  { places, offsets }: AttentionPairs,
  { p, seed, site }: NonNullable<BlockAttentionOptions['dropout']>,
): Tensor {
  const { sampleKeys, step } = segmentsForDropout('Attention');
  const [samples, heads, queries, keys] = weights.shape as [number, number, number, number];
  const flat = weights.permute([0, 2, 3, 1]).reshape([samples * queries * keys, heads]);
  const dropped = torch.ops.phantomgrad.dropout(flat.indexSelect(0, places), p, {
    seed,
    step,
    site,
    cu_seqlens: offsets,
    sample_keys: sampleKeys,
  });
  return flat.zerosLike().indexCopy_(0, places, dropped).view([samples, queries, keys, heads]).permute([0, 3, 1, 2]);
}

function pairsOf(
  ofQueries: readonly number[],
  ofKeys: readonly number[],
  queries: number,
  keys: number,
  device: string,
): AttentionPairs {
  const counts = ofQueries.map((n, b) => n * (ofKeys[b] as number));
  const places = new Int32Array(counts.reduce((sum, n) => sum + n, 0));
  let at = 0;
  ofQueries.forEach((n, b) => {
    for (let query = 0; query < n; query++) {
      const row = (b * queries + query) * keys;
      for (let key = 0; key < ofKeys[b]!; key++) places[at++] = row + key;
    }
  });
  let end = 0;
  // Offsets stay on the CPU, as those of segments do.
  return { places: int64(places).to(device), offsets: int64([0, ...counts.map((n) => (end += n))]) };
}

function lengthsOf(offsets: BigInt64Array): number[] {
  return Array.from(offsets.subarray(1), (end, b) => Number(end - (offsets[b] as bigint)));
}

// Without a BigInt a number: low words of numbers that are not negative (all supported machines are little-endian).
function int64(values: ArrayLike<number>): Tensor {
  const words = new Int32Array(2 * values.length);
  for (let k = 0; k < values.length; k++) words[2 * k] = values[k] as number;
  return fromTypedArray(new BigInt64Array(words.buffer), [values.length]);
}
