// A Transformer that predicts the next item of a history, the paper's model.

import * as check from '../check';
import { historyRows, type SequenceRows } from '../data';
import { raise } from '../errors';
import {
  type AcceptsEffectiveError,
  attentionWeights,
  Dropout,
  type EffectiveError,
  Embedding,
  Initializer,
  type Noisy,
  type NoiseStep,
  type NoiseVariance,
  ReAttention,
  type ReAttentionConfig,
  type ReAttentionOptions,
  resolveReAttention,
  TransformerBlock,
} from '../nn';
import { drop } from '../nn/noisy';
import { beside, type Tensor } from '../tensor';
import { inUse } from './in-use';
import { SequentialModel, type SequentialModelConfig } from './sequential-model';

/** Everything that makes the model, as it stands in config.json. */
export interface SequentialTransformerConfig extends SequentialModelConfig {
  /** Default 2. */
  readonly blocks: number;
  /** Default 1; divides dim. */
  readonly heads: number;
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
  tied: true,
  outputBias: false,
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
export class SequentialTransformer extends SequentialModel implements AcceptsEffectiveError {
  readonly config: SequentialTransformerConfig;
  readonly positions: Embedding;
  readonly inputDropout: Dropout;
  readonly blocks: readonly TransformerBlock[];
  readonly #reAttention: ReAttention;

  constructor(options: SequentialTransformerOptions) {
    check.onlyKnown('SequentialTransformer', options, ['items', ...Object.keys(DEFAULTS)]);
    const reAttention = resolveReAttention(options.reAttention ?? DEFAULTS.reAttention);
    const config = { ...DEFAULTS, ...options, reAttention };
    const { items, dim, blocks, heads, maxLength, dropout, targets, tied, seed } = config;
    check.integer('SequentialTransformer', { items }, 1);
    check.integer('SequentialTransformer', { blocks }, 1);
    check.integer('SequentialTransformer', { maxLength }, 1);
    check.oneOf('SequentialTransformer', { targets }, ['all', 'last']);
    check.oneOf('SequentialTransformer', { tied }, [true, false]);
    check.oneOf('SequentialTransformer', { outputBias: config.outputBias }, [true, false]);
    const init = new Initializer(seed);
    super(config, init);
    this.config = Object.freeze(config);
    this.positions = new Embedding(maxLength, dim, { init });
    this.inputDropout = new Dropout(dropout, { init });
    this.blocks = Array.from({ length: blocks }, () => new TransformerBlock({ dim, heads, dropout, init }));
    this.#reAttention = new ReAttention(reAttention, items + 1);
  }

  override get usesEffectiveError(): boolean {
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

  override get noiseVariance(): NoiseVariance | null {
    return this.#reAttention.variance;
  }

  override set noiseVariance(variance: NoiseVariance | null) {
    this.#reAttention.variance = variance;
  }

  override dispose(): void {
    super.dispose();
    this.#reAttention.dispose();
  }

  protected override activationsPerRow(): number {
    return this.config.blocks * 30 * this.config.dim;
  }

  /**
   * Attention weights of each block on one history, `[blocks][heads][L][L]` for its last L ≤ maxLength items: row s is what position s
   * takes from each position. Without dropout, with the correction that the model was told of.
   *
   * @throws ERR_INVALID_ARGUMENT for an empty history.
   */
  attentionMaps(history: Int32Array): number[][][][] {
    if (history.length === 0) raise('ERR_INVALID_ARGUMENT', 'attentionMaps: the history must name at least one item.');
    const rows = historyRows([history], { maxLength: this.config.maxLength });
    const { noise } = this.#reAttention;
    return inUse(this, rows, () => {
      let x = this.#embedded(rows);
      return this.blocks.map((block) => {
        const weights = attentionWeights(block.attention, x, noise);
        x = block.forwardNoisy(x, noise);
        return weights;
      });
    });
  }

  protected override hidden(rows: SequenceRows): Tensor {
    const { noise } = this.#reAttention;
    const last = this.blocks.length - 1;
    return this.blocks.reduce(
      (x, block, k) => block.forwardNoisy(x, noise, { propagate: k < last }),
      this.#embedded(rows),
    ).mean;
  }

  #embedded(rows: SequenceRows): Noisy {
    const ids = beside(this.items.weight, rows.ids, [rows.rows]);
    const positions = beside(ids, rows.positions, [rows.rows]);
    const embedded = this.items.forward(ids).add(this.positions.forward(positions));
    const variance = this.#reAttention.embedded(ids, this.items.scale);
    return drop(this.inputDropout, { mean: embedded, variance });
  }
}
