// Models that read one text and write another: the loss of the tokens that are to be written, and their scores.

import type { Seq2SeqBatch, TargetRows } from '../../data';
import { IGNORED_LABEL } from '../../data/text/tokens';
import * as check from '../../check';
import { raise } from '../../errors';
import { type Parameter, softmaxCrossEntropy, type SoftmaxHead, withSegments } from '../../nn';
import { beside, keep, type Tensor, torch, zeros } from '../../tensor';
import type { TokenLossOptions } from './causal-lm';
import type { ConfigReader } from './config';
import { type EncoderDecoderBackbone, readAndWrite, type Written } from './encoder-decoder';
import { PretrainedModel } from './model';
import { resizedConstant } from './resize';
import { inTextScope } from './text-scope';

/** What the model says about the tokens that frame a text. */
export interface FrameTokens {
  /** Stands before the first token that is written. */
  readonly start: number;
  /** Stands where a token is not asked for and so not known. */
  readonly padding: number;
}

export interface ConditionalGenerationShape {
  /** Null: the word table, which both texts share, is also the head, and all three are one parameter. */
  readonly head: SoftmaxHead | null;
  /** Hidden rows are multiplied by this before they meet the head. */
  readonly scale: number;
  readonly frame: FrameTokens;
  /** The model adds constants to its logits, which are saved with it. */
  readonly finalBias: boolean;
}

/** `decoder_start_token_id` and `pad_token_id`. @throws ERR_MODEL_CONFIG for tokens beyond the vocabulary */
export function frameOf(config: ConfigReader, vocabulary: number, start: number, padding: number): FrameTokens {
  const within = (field: string, fallback: number): number => {
    const token = config.integer(field, fallback, 0);
    return token < vocabulary ? token : config.refuse(`${field} = ${token} is not in a vocabulary of ${vocabulary}`);
  };
  const pad = within('pad_token_id', padding);
  return { padding: pad, start: within('decoder_start_token_id', start) };
}

export class ConditionalGeneration extends PretrainedModel {
  readonly head: SoftmaxHead | null;
  readonly scale: number;
  readonly frame: FrameTokens;
  /** `[1, vocabulary]`, never trained. */
  finalLogitsBias: Tensor | null;

  constructor(
    readonly backbone: EncoderDecoderBackbone,
    shape: ConditionalGenerationShape,
  ) {
    super();
    check.object('ConditionalGeneration', { backbone });
    check.object('ConditionalGeneration', { shape });
    const { head, scale, frame, finalBias } = shape;
    this.head = head;
    this.scale = scale;
    this.frame = frame;
    const { words, vocabulary } = backbone;
    this.finalLogitsBias = finalBias ? keep(zeros([1, vocabulary], { dtype: words.weight.dtype })) : null;
  }

  override constants(): ReadonlyMap<string, Tensor> {
    return new Map(this.finalLogitsBias === null ? [] : [['finalLogitsBias', this.finalLogitsBias]]);
  }

  override resizeConstants(count: number): void {
    const old = this.finalLogitsBias;
    if (old === null) return;
    this.finalLogitsBias = resizedConstant(old, count);
    old.dispose();
  }

  /** How batches for this model are laid out, and what a row of either text costs in bytes. */
  packing(): { maxLength: number; bytesPerRow: number } {
    const { maxLength, vocabulary, activationsPerRow } = this.backbone;
    return { maxLength, bytesPerRow: 4 * (vocabulary + activationsPerRow) };
  }

  /**
   * Cross entropy of each token to be written, given those before it and the text that was read, as Hugging Face computes it for one
   * example alone: labels are shifted right here, −100 is left out, and the mean is over an example's own tokens.
   *
   * @returns `[B]`
   * @throws ERR_INVALID_ARGUMENT for tokens and labels beyond the vocabulary, and texts longer than the model reads.
   */
  loss(batch: Seq2SeqBatch, { reduction = 'mean' }: TokenLossOptions = {}): Tensor {
    if (reduction !== 'mean' && reduction !== 'sum')
      raise('ERR_INVALID_ARGUMENT', `loss: reduction must be one of "mean", "sum", got ${String(reduction)}.`);
    const { rows, targets, offsets } = askedOf(batch.targets);
    return this.#run(batch, (hidden, segments) => {
      using asked = segments.withOffsets(offsets);
      // Rows that ask nothing are left out before they meet the vocabulary.
      const chosen = hidden.indexSelect(0, beside(hidden, rows));
      return withSegments(asked, () =>
        softmaxCrossEntropy(chosen, this.table, beside(hidden, targets), {
          scale: this.scale,
          bias: this.finalLogitsBias?.view([-1]) ?? null,
          mean: reduction === 'mean',
        }),
      );
    });
  }

  /** Scores of every token to be written, one row for each label but the padding at the end: `[M, vocabulary]`. */
  logits(batch: Seq2SeqBatch): Tensor {
    return this.#run(batch, (hidden) => this.score(hidden));
  }

  /** The table that hidden rows are compared with. */
  get table(): Parameter {
    return (this.head ?? this.backbone.words).weight;
  }

  /** @param hidden `[M, dim]` rows of the surrounding segments @returns `[M, vocabulary]` */
  score(hidden: Tensor): Tensor {
    const rows = this.scale === 1 ? hidden : hidden.mul(this.scale);
    return torch.ops.phantomgrad.linear(rows, this.table, this.finalLogitsBias?.view([-1]) ?? null);
  }

  #run<T>(batch: Seq2SeqBatch, use: Parameters<typeof readAndWrite<T>>[3]): T {
    const written = this.#shifted(batch.targets);
    return inTextScope(batch, this.backbone, (scope) => readAndWrite(this.backbone, scope, written, use));
  }

  /** What the rows of the decoder read: the token before the one that they are asked for. */
  #shifted({ labels, positions, offsets }: TargetRows): Written {
    const { vocabulary, maxLength } = this.backbone;
    const wrong = labels.find(
      (label) => label !== BigInt(IGNORED_LABEL) && !(label >= 0n && label < BigInt(vocabulary)),
    );
    if (wrong !== undefined)
      raise('ERR_INVALID_ARGUMENT', `loss: the label ${wrong} is not from 0 to ${vocabulary - 1}.`);
    const { start, padding } = this.frame;
    const ids = BigInt64Array.from(labels, (_, row) => {
      const position = positions[row] as bigint;
      if (position >= maxLength) {
        raise(
          'ERR_INVALID_ARGUMENT',
          `tokens: a text to be written has more than ${maxLength} tokens, for which the model has no position. Cut it.`,
        );
      }
      if (position === 0n) return BigInt(start);
      const before = labels[row - 1] as bigint;
      return before === BigInt(IGNORED_LABEL) ? BigInt(padding) : before;
    });
    return { ids, positions, offsets };
  }
}

/** The rows that are asked for something. */
function askedOf({ labels, offsets }: TargetRows): {
  rows: BigInt64Array;
  targets: BigInt64Array;
  offsets: BigInt64Array;
} {
  const asked = Array.from(labels.keys()).filter((row) => labels[row] !== BigInt(IGNORED_LABEL));
  let count = 0;
  const ends = Array.from(offsets, (end) => {
    while (count < asked.length && BigInt(asked[count] as number) < end) count += 1;
    return BigInt(count);
  });
  return {
    rows: BigInt64Array.from(asked, BigInt),
    targets: BigInt64Array.from(asked, (row) => labels[row] as bigint),
    offsets: BigInt64Array.from(ends),
  };
}
