// A language model that also says which of several continuations is the right one.

import type { TokenBatch, TokenRows } from '../../data';
import { raise } from '../../errors';
import { crossEntropy, type SoftmaxHead, withSegments } from '../../nn';
import { beside, type Tensor, zeros } from '../../tensor';
import { CausalLM, type TokenLossOptions } from './causal-lm';
import type { LinearLayer } from './layers';
import { targetsOf } from './targets';
import type { TextBackbone } from './text-backbone';
import { inTextScope, type TextScope } from './text-scope';

export interface DoubleHeadsLossOptions extends TokenLossOptions {
  /** What the loss of the next tokens counts. Default 1. */
  readonly tokens?: number;
  /** What the loss of the choice counts. Default 1. */
  readonly choice?: number;
}

/** An example is several texts ({@link ChoiceExample}); the last token of each says how good it is. */
export class DoubleHeads extends CausalLM {
  /** @param choiceHead `[N, dim]` to `[N, 1]` */
  constructor(
    backbone: TextBackbone,
    head: SoftmaxHead | null,
    readonly choiceHead: LinearLayer,
  ) {
    super(backbone, head);
  }

  /**
   * Cross entropy of the next tokens of all choices (where labels ask for them) plus that of the choice.
   *
   * @returns `[B]`
   */
  override loss(batch: TokenBatch, { tokens = 1, choice = 1, ...options }: DoubleHeadsLossOptions = {}): Tensor {
    const targets = targetsOf(batch, this.backbone.vocabulary);
    const right = rightChoices(batch);
    return inTextScope(batch, this.backbone, (scope) => {
      const hidden = this.backbone.forward(scope);
      const ofTokens = this.tokenLoss(hidden, targets, scope, options).mul(tokens);
      return ofTokens.add(choiceLoss(this.#scores(hidden, batch, scope), right, scope).mul(choice));
    });
  }

  /** One score for every choice, `[texts]`, examples one after another. */
  choiceLogits(rows: TokenRows): Tensor {
    return inTextScope(rows, this.backbone, (scope) => this.#scores(this.backbone.forward(scope), rows, scope));
  }

  #scores(hidden: Tensor, { texts, offsets }: TokenRows, { segments }: TextScope): Tensor {
    const ends = texts.slice(1).map((end) => end - 1n);
    using choices = segments.withOffsets(BigInt64Array.from(offsets, (offset) => BigInt(texts.indexOf(offset))));
    return withSegments(choices, () => this.choiceHead.forward(hidden.indexSelect(0, beside(hidden, ends))).squeeze(1));
  }
}

interface RightChoices {
  /** Choices of each example. */
  readonly counts: readonly number[];
  /** Which of them is right. */
  readonly right: readonly number[];
}

function rightChoices({ texts, offsets, samples, label }: TokenBatch): RightChoices {
  const first = Array.from(offsets, (offset) => texts.indexOf(offset));
  const counts = first.slice(1).map((end, b) => end - (first[b] as number));
  const right = Array.from({ length: samples }, (_, b) => label?.[b] ?? NaN);
  right.forEach((answer, b) => {
    if (!(Number.isInteger(answer) && answer >= 0 && answer < counts[b]!))
      raise('ERR_INVALID_ARGUMENT', `loss: example ${b} has ${counts[b]} choices, and ${answer} is none of them.`);
  });
  return { counts, right };
}

function choiceLoss(scores: Tensor, { counts, right }: RightChoices, { segments }: TextScope): Tensor {
  const most = Math.max(1, ...counts);
  const places = counts.flatMap((count, b) => Array.from({ length: count }, (_, k) => BigInt(b * most + k)));
  // Where an example has fewer choices than another, the rest can never be chosen.
  const absent = new Float64Array(counts.length * most).fill(-Infinity);
  for (const place of places) absent[Number(place)] = 0;
  const table = zeros([absent.length], { dtype: scores.dtype, device: scores.device })
    .indexAdd(0, beside(scores, BigInt64Array.from(places)), scores)
    .add(beside(scores, absent).to(scores.dtype))
    .view([counts.length, most]);
  using single = segments.single();
  return withSegments(single, () => crossEntropy(table, beside(scores, BigInt64Array.from(right, BigInt))));
}
