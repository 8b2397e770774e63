// A character-level language model: pre-norm Transformer blocks whose table of characters is the softmax head, too.

import * as check from '../check';
import { type Batch, historyRows, type SequenceRows } from '../data';
import { raise } from '../errors';
import {
  type AcceptsEffectiveError,
  Dropout,
  type EffectiveError,
  Embedding,
  Initializer,
  LayerNorm,
  Module,
  type NoiseStep,
  type NoiseVariance,
  ReAttention,
  type ReAttentionConfig,
  type ReAttentionOptions,
  resolveReAttention,
  Segments,
  softmaxCrossEntropy,
  TransformerBlock,
  withSegments,
} from '../nn';
import { drop } from '../nn/noisy';
import { beside, type Tensor, tidy, torch } from '../tensor';
import { inUse } from './in-use';

export interface CharTransformerConfig {
  /** Characters are 1..characters; 0 is padding and never predicted. */
  readonly characters: number;
  /** Default 384. */
  readonly dim: number;
  /** Default 6; divides dim. */
  readonly heads: number;
  /** Default 6. */
  readonly blocks: number;
  /** Characters that are read at most. Default 256. */
  readonly maxLength: number;
  /** Default 0.2. */
  readonly dropout: number;
  /** Corrects attention in all blocks for the noise of private training, which an engine tells it of. Default false. */
  readonly reAttention: ReAttentionConfig | false;
  /** Initial weights and dropout. Default 0. */
  readonly seed: number;
}

/** What a user says: all but `characters` has a default, and Re-Attention may be `true`. */
export type CharTransformerOptions = Partial<Omit<CharTransformerConfig, 'reAttention'>> &
  Pick<CharTransformerConfig, 'characters'> & { readonly reAttention?: ReAttentionOptions | boolean };

const DEFAULTS = {
  dim: 384,
  heads: 6,
  blocks: 6,
  maxLength: 256,
  dropout: 0.2,
  reAttention: false,
  seed: 0,
} as const;

/**
 * The paper's language model in width, heads and blocks. It does not say where its blocks normalise; these normalise before each half
 * and use GELU, which trains six blocks from scratch. Every row predicts the character after it; row k of a block stands at position k,
 * whatever else is in the batch. The loss of a block is the mean over its rows.
 *
 * @throws ERR_INVALID_ARGUMENT
 * @see Ding et al. 2024, appendix D.7
 * @example const model = new CharTransformer({ characters: alphabet.size, dim: 96, heads: 3, blocks: 3, maxLength: 64 })
 */
export class CharTransformer extends Module implements AcceptsEffectiveError {
  readonly config: CharTransformerConfig;
  readonly characters: Embedding;
  readonly positions: Embedding;
  readonly inputDropout: Dropout;
  readonly blocks: readonly TransformerBlock[];
  readonly lastNorm: LayerNorm;
  readonly #reAttention: ReAttention;

  constructor(options: CharTransformerOptions) {
    super();
    check.onlyKnown('CharTransformer', options, ['characters', ...Object.keys(DEFAULTS)]);
    const reAttention = resolveReAttention(options.reAttention ?? DEFAULTS.reAttention);
    const config = { ...DEFAULTS, ...options, reAttention };
    const { characters, dim, heads, blocks, maxLength, dropout, seed } = config;
    check.integer('CharTransformer', { characters }, 1);
    check.integer('CharTransformer', { blocks }, 1);
    check.integer('CharTransformer', { maxLength }, 1);
    const init = new Initializer(seed);
    this.config = Object.freeze(config);
    this.characters = new Embedding(characters + 1, dim, { init, paddingId: 0 });
    this.positions = new Embedding(maxLength, dim, { init });
    this.inputDropout = new Dropout(dropout, { init });
    const block = { dim, heads, dropout, norm: 'pre', activation: 'gelu', init } as const;
    this.blocks = Array.from({ length: blocks }, () => new TransformerBlock(block));
    this.lastNorm = new LayerNorm(dim);
    this.#reAttention = new ReAttention(reAttention, characters + 1);
  }

  get usesEffectiveError(): boolean {
    return this.#reAttention.corrects;
  }

  get tracksNoise(): boolean {
    return this.#reAttention.tracks;
  }

  setEffectiveError(error: EffectiveError | null): void {
    this.#reAttention.accept(error);
  }

  addNoise(step: NoiseStep): void {
    this.#reAttention.addNoise(step);
  }

  get noiseVariance(): NoiseVariance | null {
    return this.#reAttention.variance;
  }

  set noiseVariance(variance: NoiseVariance | null) {
    this.#reAttention.variance = variance;
  }

  override dispose(): void {
    super.dispose();
    this.#reAttention.dispose();
  }

  packing(): { maxLength: number; targets: 'all'; bytesPerRow: number } {
    const { characters, maxLength, blocks, dim } = this.config;
    return { maxLength, targets: 'all', bytesPerRow: 4 * (characters + 1 + blocks * 30 * dim) };
  }

  /** @returns `[samples]` mean cross entropy of each block, in nats a character; 0 for one without rows. */
  loss(batch: Batch & { readonly step?: number }): Tensor {
    using segments = Segments.of(batch);
    return withSegments(segments, () =>
      tidy(() => {
        const targets = beside(this.characters.weight, batch.targets, [batch.rows]);
        return softmaxCrossEntropy(this.#hidden(batch), this.characters.weight, targets, { paddingId: 0, mean: true });
      }),
    );
  }

  /** `[characters + 1]` logits of the character after `context`, of which the last `maxLength` are read; at least one. */
  scores(context: Int32Array): Float32Array {
    if (context.length === 0)
      raise('ERR_INVALID_ARGUMENT', 'scores: a language model needs at least one character to go on from.');
    const rows = historyRows([context.subarray(-this.config.maxLength)]);
    return inUse(this, rows, () => {
      const last = this.#hidden(rows).narrow(0, rows.rows - 1, 1);
      return torch.ops.phantomgrad.linear(last, this.characters.weight, null).toTypedArray() as Float32Array;
    });
  }

  #hidden(rows: SequenceRows): Tensor {
    const ids = beside(this.characters.weight, rows.ids, [rows.rows]);
    const positions = beside(ids, fromZero(rows), [rows.rows]);
    const embedded = this.characters.forward(ids).add(this.positions.forward(positions));
    const variance = this.#reAttention.embedded(ids, this.characters.scale);
    const { noise } = this.#reAttention;
    const start = drop(this.inputDropout, { mean: embedded, variance });
    const last = this.blocks.length - 1;
    const through = this.blocks.reduce((x, block, k) => block.forwardNoisy(x, noise, { propagate: k < last }), start);
    return this.lastNorm.forward(through.mean);
  }
}

// Batches count positions back from the end of what a model reads; a text is read from its beginning.
function fromZero({ rows, samples, offsets }: SequenceRows): BigInt64Array {
  const positions = new BigInt64Array(rows);
  for (let b = 0; b < samples; b++) {
    const [start, end] = [offsets[b] as bigint, offsets[b + 1] as bigint];
    for (let row = start; row < end; row++) positions[Number(row)] = row - start;
  }
  return positions;
}
