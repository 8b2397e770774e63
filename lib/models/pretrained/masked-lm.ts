// Language models that fill gaps: the loss of the tokens that labels ask for, given all others.

import type { TokenBatch, TokenRows } from '../../data';
import { softmaxCrossEntropy, withSegments } from '../../nn';
import { raise } from '../../errors';
import { beside, type Tensor, torch } from '../../tensor';
import type { LogitsOptions, TokenLossOptions } from './causal-lm';
import { PretrainedModel } from './model';
import { targetsOf } from './targets';
import { padded, type TextBackbone } from './text-backbone';
import { inTextScope } from './text-scope';
import type { TokenHead } from './token-head';

export class MaskedLM extends PretrainedModel {
  constructor(
    readonly backbone: TextBackbone,
    readonly head: TokenHead,
  ) {
    super();
  }

  /** How batches for this model are laid out, and what a row costs in bytes. */
  packing(): { maxLength: number; bytesPerRow: number } {
    const { maxLength, vocabulary, activationsPerRow } = this.backbone;
    return { maxLength, bytesPerRow: 4 * (vocabulary + activationsPerRow) };
  }

  /**
   * Cross entropy of the labels at their own places (not shifted), as Hugging Face computes it for one example alone: −100 is left
   * out, and the mean is over an example's own labels. Masking is the caller's: `inputIds` hold the mask token where labels ask.
   *
   * @returns `[B]`
   * @throws ERR_INVALID_ARGUMENT for a batch without labels, or tokens and labels beyond the vocabulary.
   */
  loss(batch: TokenBatch, { reduction = 'mean' }: TokenLossOptions = {}): Tensor {
    if (reduction !== 'mean' && reduction !== 'sum')
      raise('ERR_INVALID_ARGUMENT', `loss: reduction must be one of "mean", "sum", got ${String(reduction)}.`);
    const { rows, targets, offsets } = targetsOf(batch, this.backbone.vocabulary, 0);
    return inTextScope(batch, this.backbone, (scope) => {
      // Rows that ask nothing are left out before they meet the vocabulary.
      const all = this.backbone.forward(scope);
      const hidden = all.indexSelect(0, beside(all, rows));
      using asked = scope.segments.withOffsets(offsets);
      return withSegments(asked, () =>
        softmaxCrossEntropy(this.head.forward(hidden), this.backbone.words.weight, beside(hidden, targets), {
          bias: this.head.bias,
          mean: reduction === 'mean',
        }),
      );
    });
  }

  /** Scores of every token at every place: `[N, vocabulary]`, or padded `[texts, width, vocabulary]`. */
  logits(rows: TokenRows, { padded: wanted = false }: LogitsOptions = {}): Tensor {
    return inTextScope(rows, this.backbone, (scope) => {
      const hidden = this.head.forward(this.backbone.forward(scope));
      const logits = torch.ops.phantomgrad.linear(hidden, this.backbone.words.weight, this.head.bias);
      return wanted ? padded(logits, rows) : logits;
    });
  }
}
