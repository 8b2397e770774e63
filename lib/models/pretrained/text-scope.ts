// What every layer of a model of texts may read while it runs: the tokens of a batch, which text each belongs to, and its position.

import type { TokenRows } from '../../data';
import { raise } from '../../errors';
import { Segments, withSegments } from '../../nn';
import { beside, fromTypedArray, type Tensor, tidy } from '../../tensor';
import type { KeyValueCache } from './key-value-cache';
import type { Prefix, PrefixRows } from './prefix';

/** Tensors are freed when the model has run. */
export interface TextScope {
  /** int64 `[N]`. */
  readonly ids: Tensor;
  /** int64 `[N]`, from 0 in every text, or from the end of its prefix. */
  readonly positions: Tensor;
  /** int64 `[N]`; null where the batch has none. */
  readonly tokenTypeIds: Tensor | null;
  /** `[texts + 1]` on the CPU: attention stays inside a text. Samples, which may have several texts, are the surrounding segments. */
  readonly texts: Tensor;
  /** `[texts]` int64 on the CPU: dropout of attention weights is keyed by it. */
  readonly textKeys: Tensor;
  /** The surrounding segments. */
  readonly segments: Segments;
  /** While generating: keys and values of the tokens before. */
  readonly cache: KeyValueCache | null;
  /** What stands before every text; null where nothing does, or it is in the cache. */
  readonly prefix?: PrefixRows | null;
}

/** What a model says about the tokens that it reads. */
export interface TextLimits {
  /** The table of tokens: what is read follows it to its device. */
  readonly words: { readonly weight: Tensor };
  readonly vocabulary: number;
  /** Tokens of a text; Infinity where positions have no table. */
  readonly maxLength: number;
  /** Token types are below this; 0 where the model does not read them. */
  readonly tokenTypes: number;
  readonly prefix?: Prefix | null;
}

/**
 * Runs `run` in the segments of `rows`.
 *
 * @throws ERR_INVALID_ARGUMENT for tokens beyond the vocabulary, positions beyond the position table, and token types for a model that has none.
 */
export function inTextScope<T>(
  rows: TokenRows & { readonly recordIds?: Int32Array; readonly step?: number },
  limits: TextLimits,
  run: (scope: TextScope) => T,
  cache: KeyValueCache | null = null,
): T {
  checkTokens(rows, limits);
  using segments = Segments.of(rows);
  const { prefix = null } = limits;
  const column = (values: BigInt64Array): Tensor => beside(limits.words.weight, values, [values.length]);
  return withSegments(segments, () =>
    tidy(() => {
      const single = rows.texts.length === rows.offsets.length;
      return run({
        ids: column(rows.ids),
        positions: prefix === null ? column(rows.positions) : column(rows.positions).add(prefix.length),
        tokenTypeIds: rows.tokenTypeIds === undefined ? null : column(rows.tokenTypeIds),
        texts: single ? segments.cuSeqlens : fromTypedArray(rows.texts),
        textKeys: single ? segments.sampleKeys : fromTypedArray(textKeys(rows, segments.keys)),
        segments,
        cache,
        prefix: prefix === null || cache?.started === true ? null : prefix.before(rows, segments),
      });
    }),
  );
}

function checkTokens(
  { ids, positions, tokenTypeIds = new BigInt64Array(0) }: TokenRows,
  { vocabulary, maxLength, tokenTypes }: TextLimits,
): void {
  const strange = tokenTypeIds.find((type) => type < 0n || type >= BigInt(tokenTypes));
  if (strange !== undefined) {
    const known = tokenTypes === 0 ? 'reads no token types' : `knows the token types 0 to ${tokenTypes - 1}`;
    raise('ERR_INVALID_ARGUMENT', `tokens: the model ${known}, got ${strange}.`);
  }
  const most = BigInt(vocabulary);
  for (const id of ids) {
    if (id < 0n || id >= most)
      raise('ERR_INVALID_ARGUMENT', `tokens: ${id} is no token; the model knows 0 to ${vocabulary - 1}.`);
  }
  if (maxLength === Infinity) return;
  const last = BigInt(maxLength);
  for (const position of positions) {
    if (position >= last) {
      raise(
        'ERR_INVALID_ARGUMENT',
        `tokens: a text has more than ${maxLength} tokens, for which the model has no position. Cut it.`,
      );
    }
  }
}

/** A key for every text that depends on its sample's and its place there alone. */
function textKeys({ texts, offsets, samples }: TokenRows, sampleKeys: BigInt64Array): BigInt64Array {
  const keys = new BigInt64Array(texts.length - 1);
  let text = 0;
  for (let b = 0; b < samples; b++) {
    const record = (sampleKeys[b] as bigint) << 20n; // 64 bits of it are kept
    for (let place = 0n; text < keys.length && (texts[text] as bigint) < (offsets[b + 1] as bigint); place++)
      keys[text++] = record + place;
  }
  return keys;
}
