// What every backbone that reads one text and writes another offers, and the two scopes in which it does.

import { type Embedding, Module, type Segments, withSegments } from '../../nn';
import { beside, type Tensor } from '../../tensor';
import type { AttentionScope } from './attention';
import { attentionBlocks } from './attention-blocks';
import type { Memory } from './cross-attention';
import type { TextLimits, TextScope } from './text-scope';

/** What the layers of a decoder may read: the rows of the texts that are written. */
export interface DecoderScope extends AttentionScope {
  /** int64 `[M]`: each row reads the token before the one that it is asked for. */
  readonly ids: Tensor;
  /** int64 `[M]`, from 0 in every text. */
  readonly positions: Tensor;
  /** The surrounding segments. */
  readonly segments: Segments;
  /** The texts that were read. */
  readonly memory: Memory;
}

export abstract class EncoderDecoderBackbone extends Module implements TextLimits {
  /** One table for both texts. */
  abstract readonly words: Embedding;
  abstract readonly dim: number;
  abstract readonly maxLength: number;
  /** Values that one row of either text keeps for the backward pass, roughly. */
  abstract readonly activationsPerRow: number;
  readonly tokenTypes = 0;

  get vocabulary(): number {
    return this.words.weight.shape[0] as number;
  }

  /** @returns `[N, dim]` rows of the text that is read */
  abstract encode(scope: TextScope): Tensor;

  /** @returns `[M, dim]` rows of the text that is written */
  abstract decode(scope: DecoderScope): Tensor;
}

/** The texts that are written, as rows. */
export interface Written {
  readonly ids: BigInt64Array;
  readonly positions: BigInt64Array;
  readonly offsets: BigInt64Array;
}

/** Reads the texts of `scope`, then runs `use` on the hidden rows of those that are written, in their segments. */
export function readAndWrite<T>(
  backbone: EncoderDecoderBackbone,
  scope: TextScope,
  { ids, positions, offsets }: Written,
  use: (hidden: Tensor, segments: Segments) => T,
  caches: { readonly own: AttentionScope['cache']; readonly memory: Memory['cache'] } = { own: null, memory: null },
): T {
  const rows = backbone.encode(scope);
  const { weight } = backbone.words;
  using target = scope.segments.withOffsets(offsets);
  return withSegments(target, () => {
    const hidden = backbone.decode({
      ids: beside(weight, ids),
      positions: beside(weight, positions),
      texts: target.cuSeqlens,
      textKeys: target.sampleKeys,
      cache: caches.own,
      segments: target,
      memory: {
        rows,
        segments: scope.segments,
        blocks: attentionBlocks(offsets, scope.segments.offsets, false, weight.device),
        cache: caches.memory,
      },
    });
    return use(hidden, target);
  });
}
