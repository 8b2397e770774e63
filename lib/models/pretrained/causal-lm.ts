// Language models that predict the next token: per-sample loss without logits, and logits for scoring.

import type { TokenBatch, TokenRows } from '../../data';
import { raise } from '../../errors';
import { softmaxCrossEntropy, type SoftmaxHead, withSegments } from '../../nn';
import { beside, type Tensor, torch } from '../../tensor';
import { PretrainedModel } from './model';
import { padded, type TextBackbone } from './text-backbone';
import { inTextScope, type TextScope } from './text-scope';
import { type Targets, targetsOf } from './targets';

export interface TokenLossOptions {
  /** `mean` (default): over the tokens of an example that count. `sum`: all together. An example in which none counts has loss 0. */
  readonly reduction?: 'mean' | 'sum';
}

export interface LogitsOptions {
  /** Rows where they were among the tokens as given, zeros at padding, instead of one after another. Default false. */
  readonly padded?: boolean;
}

export class CausalLM extends PretrainedModel {
  /** @param head  Null: the word table is also the head, and the two are one parameter. */
  constructor(
    readonly backbone: TextBackbone,
    readonly head: SoftmaxHead | null,
  ) {
    super();
  }

  /** How batches for this model are laid out, and what a row costs in bytes. */
  packing(): { maxLength: number; bytesPerRow: number } {
    const { maxLength, vocabulary, activationsPerRow, prefix } = this.backbone;
    // Rows of a prefix are no rows of the batch: this counts as many of them as a text has, which is more than there usually are.
    const rows = prefix === null ? 1 : 2;
    return { maxLength, bytesPerRow: 4 * (vocabulary + rows * activationsPerRow) };
  }

  /**
   * Cross entropy of each token given those before it, as Hugging Face computes it for one example alone: `labels` are shifted here,
   * −100 is left out, and the mean is over an example's own tokens.
   *
   * @returns `[B]`
   * @throws ERR_INVALID_ARGUMENT for a batch without labels, or tokens and labels beyond the vocabulary.
   */
  loss(batch: TokenBatch, options: TokenLossOptions = {}): Tensor {
    const targets = targetsOf(batch, this.backbone.vocabulary);
    return inTextScope(batch, this.backbone, (scope) =>
      this.tokenLoss(this.backbone.forward(scope), targets, scope, options),
    );
  }

  /** Scores of every next token: `[N, vocabulary]`, or padded `[texts, width, vocabulary]`. */
  logits(rows: TokenRows, { padded: wanted = false }: LogitsOptions = {}): Tensor {
    return inTextScope(rows, this.backbone, (scope) => {
      const logits = this.score(this.backbone.forward(scope));
      return wanted ? padded(logits, rows) : logits;
    });
  }

  /** @param hidden `[N, dim]` rows of the surrounding segments @returns `[N, vocabulary]` */
  score(hidden: Tensor): Tensor {
    if (this.head !== null) return this.head.forward(hidden);
    return torch.ops.phantomgrad.linear(hidden, this.backbone.words.weight);
  }

  /** @internal The loss of hidden rows. Rows that ask nothing are left out before they meet the vocabulary. */
  protected tokenLoss(
    hidden: Tensor,
    { rows, targets, offsets }: Targets,
    { segments }: TextScope,
    { reduction = 'mean' }: TokenLossOptions,
  ): Tensor {
    if (reduction !== 'mean' && reduction !== 'sum')
      raise('ERR_INVALID_ARGUMENT', `loss: reduction must be one of "mean", "sum", got ${String(reduction)}.`);
    using asked = segments.withOffsets(offsets);
    return withSegments(asked, () =>
      softmaxCrossEntropy(
        hidden.indexSelect(0, beside(hidden, rows)),
        (this.head ?? this.backbone.words).weight,
        beside(hidden, targets),
        { bias: this.head?.bias ?? null, mean: reduction === 'mean' },
      ),
    );
  }
}
