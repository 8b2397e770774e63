// Classification and regression of whole texts: one pooled row an example, and a head on it.

import type { TokenBatch, TokenRows } from '../../data';
import { binaryCrossEntropy, crossEntropy, meanSquaredError, withSegments } from '../../nn';
import { raise } from '../../errors';
import { beside, type Tensor } from '../../tensor';
import type { ConfigReader } from './config';
import type { LinearLayer } from './layers';
import { PretrainedModel } from './model';
import type { TextBackbone } from './text-backbone';
import { inTextScope } from './text-scope';

/** What labels are: a class, values (mean squared error), or any number of classes (binary cross entropy of each). */
export type ProblemType = 'single_label_classification' | 'regression' | 'multi_label_classification';

const PROBLEMS = ['single_label_classification', 'regression', 'multi_label_classification'] as const;

/** As Hugging Face reads `problem_type`: one label without it means regression. */
export function problemOf(config: ConfigReader): ProblemType {
  const plain = config.labels === 1 ? 'regression' : 'single_label_classification';
  return (config.raw.problem_type ?? null) === null ? plain : config.oneOf('problem_type', PROBLEMS);
}

/** Loss of `[B, labels]` logits against the `label` of every example: `[B]`. */
export function labelLoss(logits: Tensor, batch: Pick<TokenBatch, 'samples' | 'label'>, problem: ProblemType): Tensor {
  const { samples, label } = batch;
  const labels = logits.shape[1] as number;
  const width = problem === 'single_label_classification' ? 1 : labels;
  if (samples > 0 && label?.length !== samples * width) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `loss: ${problem} needs ${width} number${width === 1 ? '' : 's'} as the label of each example, got ` +
        `${label === undefined ? 'none' : label.length / samples}.`,
    );
  }
  const values = label ?? new Float64Array(0);
  if (problem === 'regression') return meanSquaredError(logits, sized(logits, values, labels).to(logits.dtype));
  const wrong = values.find((value) => !Number.isInteger(value) || value < 0 || value >= (width === 1 ? labels : 2));
  if (wrong !== undefined)
    raise('ERR_INVALID_ARGUMENT', `loss: the label ${wrong} is not from 0 to ${width === 1 ? labels - 1 : 1}.`);
  if (problem === 'multi_label_classification')
    return binaryCrossEntropy(logits, sized(logits, values, labels).to(logits.dtype));
  return crossEntropy(logits, beside(logits, BigInt64Array.from(values, BigInt)));
}

const sized = (like: Tensor, values: Float64Array, width: number): Tensor =>
  beside(like, values, [values.length / width, width]);

export class SequenceClassifier extends PretrainedModel {
  /**
   * @param head  `[B, dim]` to `[B, labels]`.
   * @param pool  The row that stands for a text: decoders read it at the end, encoders at the beginning.
   */
  constructor(
    readonly backbone: TextBackbone,
    readonly head: LinearLayer,
    readonly pool: 'first' | 'last',
    readonly problem: ProblemType,
  ) {
    super();
  }

  packing(): { maxLength: number; bytesPerRow: number } {
    const { maxLength, activationsPerRow } = this.backbone;
    return { maxLength, bytesPerRow: 4 * activationsPerRow };
  }

  /** @returns `[B]` @throws ERR_INVALID_ARGUMENT for labels that are missing or out of range */
  loss(batch: TokenBatch): Tensor {
    return this.#run(batch, (logits) => labelLoss(logits, batch, this.problem));
  }

  /** `[B, labels]`. */
  logits(rows: TokenRows): Tensor {
    return this.#run(rows, (logits) => logits);
  }

  #run(rows: TokenRows, use: (logits: Tensor) => Tensor): Tensor {
    if (rows.texts.length !== rows.offsets.length)
      raise('ERR_INVALID_ARGUMENT', 'SequenceClassifier: an example is one text, not several choices.');
    return inTextScope(rows, this.backbone, (scope) => {
      const hidden = this.backbone.forward(scope);
      const chosen = this.pool === 'first' ? rows.texts.slice(0, -1) : rows.texts.slice(1).map((end) => end - 1n);
      const pooled = hidden.indexSelect(0, beside(hidden, chosen));
      using single = scope.segments.single();
      return withSegments(single, () => use(this.head.forward(pooled)));
    });
  }
}
