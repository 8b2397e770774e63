// What every model that predicts the next item of a history has in common: its table, its loss, its scores.

import type { Batch, SequenceRows } from '../data';
import { historyRows } from '../data';
import * as check from '../check';
import { raise } from '../errors';
import {
  type AcceptsFrequencies,
  Embedding,
  type Initializer,
  Module,
  type ItemFrequencies,
  type NoiseVariance,
  Segments,
  softmaxCrossEntropy,
  SoftmaxHead,
  withSegments,
} from '../nn';
import { beside, fromTypedArray, keep, type Tensor, tidy, torch } from '../tensor';
import { inUse } from './in-use';
import { logPrior } from './log-prior';
import type { Scorer } from './scorer';

/** What every configuration says. */
export interface SequentialModelConfig {
  /** Items are 1..items; 0 is padding and never predicted. */
  readonly items: number;
  /** Default 64. */
  readonly dim: number;
  /** Most recent items that are read. Default 200. */
  readonly maxLength: number;
  /** Default 0.2. */
  readonly dropout: number;
  /** `all` (default): every position predicts the item after it. `last`: only the last one does. */
  readonly targets: 'all' | 'last';
  /** Default true: one table is embedding and softmax head at once. False: the head has a table of its own. */
  readonly tied: boolean;
  /**
   * Default false. True adds log p̂ to the logits, fixed and not trained, where p̂ are the frequencies of the items that an engine was given:
   * then the model need not learn popularity through noise. Before it is told any, nothing is added.
   */
  readonly outputBias: boolean;
  /** Initial weights and dropout. Default 0. */
  readonly seed: number;
}

/** Softmax over all items; the loss of a sample is the mean over its positions. */
export abstract class SequentialModel extends Module implements Scorer, AcceptsFrequencies {
  abstract readonly config: SequentialModelConfig;
  readonly items: Embedding;
  /** Null where the table is tied. */
  readonly head: SoftmaxHead | null;
  #bias: Tensor | null = null;

  protected constructor(config: SequentialModelConfig, init: Initializer) {
    super();
    check.object('SequentialModel', { config });
    const { items, dim, tied } = config;
    check.integer('SequentialModel', { items }, 1);
    this.items = new Embedding(items + 1, dim, { init, paddingId: 0 });
    this.head = tied ? null : new SoftmaxHead(dim, items + 1, { init });
  }

  get itemCount(): number {
    return this.config.items;
  }

  /** Whether the model corrects for the noise of private training: then an engine tells it of the noise. */
  get usesEffectiveError(): boolean {
    return false;
  }

  /** What the model corrects by, to be saved beside the weights: without it the model scores differently. */
  get noiseVariance(): NoiseVariance | null {
    return null;
  }

  set noiseVariance(variance: NoiseVariance | null) {
    if (variance !== null)
      raise('ERR_INVALID_ARGUMENT', 'noiseVariance: this kind of model has no attention to correct.');
  }

  /** Whether the model adds an output bias: then an engine tells it how often items occur. */
  get usesFrequencies(): boolean {
    return this.config.outputBias;
  }

  /**
   * Sets the output bias to the log of the frequencies, normalised over the items; null and `uniform` set none.
   *
   * @throws ERR_INVALID_ARGUMENT for frequencies of another vocabulary, or one of 0, which would rule an item out for ever.
   */
  setFrequencies(frequencies: ItemFrequencies | null): void {
    const probability = frequencies?.probability ?? null;
    this.outputBias = probability === null ? null : logPrior(probability, this.itemCount);
  }

  /** `[items + 1]` what is added to the logits, to be saved beside the weights; null for nothing. A copy. */
  get outputBias(): Float32Array | null {
    return this.#bias === null ? null : Float32Array.from(this.#bias.toTypedArray() as Float32Array);
  }

  set outputBias(bias: Float32Array | null) {
    if (bias !== null && !this.config.outputBias) {
      raise('ERR_INVALID_ARGUMENT', 'outputBias: this model was made without outputBias.');
    }
    if (bias !== null && (bias.length !== this.itemCount + 1 || !bias.every(Number.isFinite))) {
      raise('ERR_INVALID_ARGUMENT', `outputBias: expected ${this.itemCount + 1} finite numbers, got ${bias.length}.`);
    }
    this.#bias?.dispose();
    this.#bias = bias === null ? null : keep(fromTypedArray(Float32Array.from(bias), [bias.length]));
  }

  override dispose(): void {
    super.dispose();
    this.#bias?.dispose();
    this.#bias = null;
  }

  /** How batches for this model are laid out, and what a row costs: its logits and its activations, in bytes. */
  packing(): { maxLength: number; targets: 'all' | 'last'; bytesPerRow: number } {
    const { items, maxLength, targets } = this.config;
    return { maxLength, targets, bytesPerRow: 4 * (items + 1 + this.activationsPerRow()) };
  }

  /** @returns `[samples]` mean cross entropy of each sequence; 0 for one without rows. */
  loss(batch: Batch & { readonly step?: number }): Tensor {
    using segments = Segments.of(batch);
    return withSegments(segments, () =>
      tidy(() => {
        const hidden = this.hidden(batch);
        const targets = beside(hidden, batch.targets, [batch.rows]);
        if (this.config.targets === 'all') {
          const weights = batch.weights === undefined ? null : beside(hidden, batch.weights, [batch.rows]);
          return this.#crossEntropy(hidden, targets, weights);
        }
        const { rows, offsets } = lastRows(batch, hidden);
        using last = segments.withOffsets(offsets);
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
    return inUse(this, rows, () => {
      const all = this.hidden(rows);
      const last = lastRows(rows, all);
      const logits = torch.ops.phantomgrad.linear(all.indexSelect(0, last.rows), this.#table, this.#biasOn(all));
      return spread(logits.toTypedArray() as Float32Array, last.offsets, this.itemCount + 1);
    });
  }

  /** `[rows, dim]`: what the model makes of each position and those before it. Runs in the segments of `rows`. */
  protected abstract hidden(rows: SequenceRows): Tensor;

  /** Values that one row keeps for the backward pass. */
  protected abstract activationsPerRow(): number;

  get #table(): Tensor {
    return (this.head ?? this.items).weight;
  }

  // The bias is no parameter: it follows them where it is used.
  #biasOn({ device }: Tensor): Tensor | null {
    return this.#bias === null ? null : this.#bias.to({ device });
  }

  #crossEntropy(hidden: Tensor, targets: Tensor, weights: Tensor | null = null): Tensor {
    return softmaxCrossEntropy(hidden, this.#table, targets, {
      weights,
      bias: this.#biasOn(hidden),
      paddingId: 0,
      mean: true,
    });
  }
}

// The last row of every sequence that has one, and which sequence it belongs to.
function lastRows({ samples, offsets }: SequenceRows, like: Tensor): { rows: Tensor; offsets: BigInt64Array } {
  const rows: bigint[] = [];
  const ends = new BigInt64Array(samples + 1);
  for (let b = 0; b < samples; b++) {
    const end = offsets[b + 1] as bigint;
    if (end > (offsets[b] as bigint)) rows.push(end - 1n);
    ends[b + 1] = BigInt(rows.length);
  }
  return { rows: beside(like, BigInt64Array.from(rows), [rows.length]), offsets: ends };
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
