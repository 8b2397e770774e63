// A Transformer that predicts the next item of a history: one table is embedding and softmax head at once.

import * as check from '../check';
import type { Batch, SequenceRows } from '../data';
import { historyRows } from '../data';
import { raise } from '../errors';
import {
  type AcceptsEffectiveError,
  Dropout,
  type EffectiveError,
  Embedding,
  Initializer,
  Module,
  NO_NOISE,
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
import { fromTypedArray, noGrad, type Tensor, tidy, torch } from '../tensor';
import type { Scorer } from './scorer';

/** Everything that makes the model, as it stands in config.json. */
export interface SequentialTransformerConfig {
  /** Items are 1..items; 0 is padding and never predicted. */
  readonly items: number;
  /** Default 64. */
  readonly dim: number;
  /** Default 2. */
  readonly blocks: number;
  /** Default 1; divides dim. */
  readonly heads: number;
  /** Most recent items that are read. Default 200. */
  readonly maxLength: number;
  /** Default 0.2. */
  readonly dropout: number;
  /** `all` (default): every position predicts the item after it. `last`: only the last one does. */
  readonly targets: 'all' | 'last';
  /** Initial weights and dropout. Default 0. */
  readonly seed: number;
  /**
   * Corrects attention for the noise of private training, which an engine tells it of. Default false. Without an engine, or before
   * one is attached, there is no noise and nothing to correct.
   */
  readonly reAttention: ReAttentionConfig | false;
}

/** What a user says: all but `items` has a default, and Re-Attention may be `true`. */
export type SequentialTransformerOptions = Partial<Omit<SequentialTransformerConfig, 'reAttention'>> &
  Pick<SequentialTransformerConfig, 'items'> & { readonly reAttention?: ReAttentionOptions | boolean };

const DEFAULTS = {
  dim: 64,
  blocks: 2,
  heads: 1,
  maxLength: 200,
  dropout: 0.2,
  targets: 'all',
  seed: 0,
  reAttention: false,
} as const;

/**
 * SASRec's task with the paper's model: learned positions, causal attention, post-norm blocks with ReLU and a feed-forward width
 * of 4 dim, softmax over all items. The loss of a sample is the mean over its positions.
 *
 * @throws ERR_INVALID_ARGUMENT
 * @see Ding et al. 2024, section 5 and appendix D; Kang & McAuley 2018 (SASRec).
 * @example const model = new SequentialTransformer({ items: users.itemCount, maxLength: 50 })
 */
export class SequentialTransformer extends Module implements Scorer, AcceptsEffectiveError {
  readonly config: SequentialTransformerConfig;
  readonly items: Embedding;
  readonly positions: Embedding;
  readonly inputDropout: Dropout;
  readonly blocks: readonly TransformerBlock[];
  readonly #reAttention: ReAttention | null;

  constructor(options: SequentialTransformerOptions) {
    super();
    check.onlyKnown('SequentialTransformer', options, ['items', ...Object.keys(DEFAULTS)]);
    const reAttention = resolveReAttention(options.reAttention ?? DEFAULTS.reAttention);
    const config = { ...DEFAULTS, ...options, reAttention };
    const { items, dim, blocks, heads, maxLength, dropout, targets, seed } = config;
    check.integer('SequentialTransformer', { items }, 1);
    check.integer('SequentialTransformer', { blocks }, 1);
    check.integer('SequentialTransformer', { maxLength }, 1);
    check.oneOf('SequentialTransformer', { targets }, ['all', 'last']);
    this.config = Object.freeze(config);
    const init = new Initializer(seed);
    this.items = new Embedding(items + 1, dim, { init, paddingId: 0 });
    this.positions = new Embedding(maxLength, dim, { init });
    this.inputDropout = new Dropout(dropout, { init });
    this.blocks = Array.from({ length: blocks }, () => new TransformerBlock({ dim, heads, dropout, init }));
    this.#reAttention = reAttention === false ? null : new ReAttention(reAttention, items + 1);
  }

  get usesEffectiveError(): boolean {
    return this.config.reAttention !== false && this.config.reAttention.correction !== 'off';
  }

  setEffectiveError(error: EffectiveError | null): void {
    if (this.#reAttention === null && error !== null) {
      raise('ERR_INVALID_ARGUMENT', 'setEffectiveError: this model was made without reAttention.');
    }
    this.#reAttention?.accept(error);
  }

  addNoise(step: NoiseStep): void {
    this.#reAttention?.addNoise(step);
  }

  /** What attention is corrected by, to be saved beside the weights: without it the model scores differently. */
  get noiseVariance(): NoiseVariance | null {
    return this.#reAttention?.variance ?? null;
  }

  set noiseVariance(variance: NoiseVariance | null) {
    if (this.#reAttention !== null) this.#reAttention.variance = variance;
    else if (variance !== null)
      raise('ERR_INVALID_ARGUMENT', 'noiseVariance: this model was made without reAttention.');
  }

  override dispose(): void {
    super.dispose();
    this.#reAttention?.dispose();
  }

  get itemCount(): number {
    return this.config.items;
  }

  /** How batches for this model are laid out, and what a row costs: its logits and its activations, in bytes. */
  packing(): { maxLength: number; targets: 'all' | 'last'; bytesPerRow: number } {
    const { items, dim, blocks, maxLength, targets } = this.config;
    return { maxLength, targets, bytesPerRow: 4 * (items + 1 + blocks * 30 * dim) };
  }

  /** @returns `[samples]` mean cross entropy of each sequence; 0 for one without rows. */
  loss(batch: Batch & { readonly step?: number }): Tensor {
    using segments = Segments.of(batch);
    return withSegments(segments, () =>
      tidy(() => {
        const hidden = this.#hidden(batch);
        const targets = fromTypedArray(batch.targets, [batch.rows]);
        if (this.config.targets === 'all') {
          const weights = batch.weights === undefined ? null : fromTypedArray(batch.weights, [batch.rows]);
          return this.#crossEntropy(hidden, targets, weights);
        }
        const { rows, offsets } = lastRows(batch);
        using last = new Segments(offsets, batch.recordIds, segments.step, segments.token);
        return withSegments(last, () => this.#crossEntropy(hidden.indexSelect(0, rows), targets.indexSelect(0, rows)));
      }),
    );
  }

  scores(history: Int32Array): Float32Array {
    return this.scoresBatch([history]);
  }

  /** Logits of the item after each history, `[histories, items + 1]`; an empty history is scored as all zeros. */
  scoresBatch(histories: readonly Int32Array[]): Float32Array {
    const rows = historyRows(histories, { maxLength: this.config.maxLength });
    const training = this.training;
    this.eval();
    try {
      using segments = Segments.of(rows);
      return noGrad(() =>
        withSegments(segments, () =>
          tidy(() => {
            const last = lastRows(rows);
            const hidden = this.#hidden(rows).indexSelect(0, last.rows);
            const logits = torch.ops.phantomgrad.linear(hidden, this.items.weight);
            return spread(logits.toTypedArray() as Float32Array, last.offsets, this.itemCount + 1);
          }),
        ),
      );
    } finally {
      this.train(training);
    }
  }

  #hidden(rows: SequenceRows): Tensor {
    const ids = fromTypedArray(rows.ids, [rows.rows]);
    const positions = fromTypedArray(rows.positions, [rows.rows]);
    const embedded = this.items.forward(ids).add(this.positions.forward(positions));
    const variance = this.#reAttention?.embedded(ids, this.items.scale) ?? null;
    const noise = this.#reAttention?.noise ?? NO_NOISE;
    const start = drop(this.inputDropout, { mean: embedded, variance });
    const last = this.blocks.length - 1;
    return this.blocks.reduce((x, block, k) => block.forwardNoisy(x, noise, { propagate: k < last }), start).mean;
  }

  #crossEntropy(hidden: Tensor, targets: Tensor, weights: Tensor | null = null): Tensor {
    return softmaxCrossEntropy(hidden, this.items.weight, targets, { weights, paddingId: 0, mean: true });
  }
}

// The last row of every sequence that has one, and which sequence it belongs to.
function lastRows({ samples, offsets }: SequenceRows): { rows: Tensor; offsets: BigInt64Array } {
  const rows: bigint[] = [];
  const ends = new BigInt64Array(samples + 1);
  for (let b = 0; b < samples; b++) {
    const end = offsets[b + 1] as bigint;
    if (end > (offsets[b] as bigint)) rows.push(end - 1n);
    ends[b + 1] = BigInt(rows.length);
  }
  return { rows: fromTypedArray(BigInt64Array.from(rows), [rows.length]), offsets: ends };
}

function spread(scores: Float32Array, offsets: BigInt64Array, width: number): Float32Array {
  const samples = offsets.length - 1;
  if (scores.length === samples * width) return scores;
  const all = new Float32Array(samples * width);
  for (let b = 0; b < samples; b++) {
    const row = Number(offsets[b]);
    if (offsets[b + 1] !== offsets[b]) all.set(scores.subarray(row * width, (row + 1) * width), b * width);
  }
  return all;
}
