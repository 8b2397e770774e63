// Losses with one entry a sample: what differentially private training needs, because a mean over the batch mixes
// samples.

import * as check from '../check';
import { raise } from '../errors';
import { beside, type Tensor, torch, zeros } from '../tensor';
import { currentSegments } from './segments';

const { aten } = torch.ops;

/** How the rows (and elements) of one sample make its loss. */
export interface SampleLossOptions {
  /**
   * `mean` (default): over the elements that count. `sum`: all together. A sample in which nothing counts has loss 0.
   */
  readonly reduction?: 'mean' | 'sum';
}

export interface CrossEntropyOptions extends SampleLossOptions {
  /** Rows with this target do not count. Default −100. */
  readonly ignoreIndex?: number;
  /** Share of the target that is spread evenly over all classes, in [0, 1). Default 0. */
  readonly labelSmoothing?: number;
}

/**
 * Cross entropy of logits. For a large vocabulary use {@link softmaxCrossEntropy}, which never holds the logits.
 *
 * @param logits `[..., classes]`; `[B, ..., classes]` without a scope, `[N, classes]` rows of the surrounding segments.
 * @param targets int64 of the leading shape.
 * @returns `[B]`
 * @throws ERR_INVALID_ARGUMENT for targets of another shape. @throws ERR_BATCH_DIMENSION if the rows are not those of the segments
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  check.able('crossEntropy', { logits }, 'detach', 'a tensor');
  check.onlyKnown('crossEntropy', options, ['reduction', 'ignoreIndex', 'labelSmoothing']);
  const { ignoreIndex = -100, labelSmoothing = 0 } = options;
  sameShape('crossEntropy', 'targets', targets, logits.shape.slice(0, -1));
  const classes = logits.shape.at(-1) ?? 0;
  const flat = targets.reshape([-1]);
  const rows = aten.cross_entropy_loss(logits.reshape([-1, classes]), flat, {
    reduction: 0,
    ignore_index: ignoreIndex,
    label_smoothing: labelSmoothing,
  });
  const counted = flat.ne(ignoreIndex).to(rows.dtype);
  return perSampleLoss('crossEntropy', rows.view(targets.shape), counted.view(targets.shape), options);
}

/**
 * Squared error.
 *
 * @param input any shape, samples (or rows of the segments) first @param target the same shape @returns `[B]`
 * @throws ERR_INVALID_ARGUMENT for a target of another shape. @throws ERR_BATCH_DIMENSION if the rows are not those of the segments
 */
export function meanSquaredError(input: Tensor, target: Tensor, options: SampleLossOptions = {}): Tensor {
  check.able('meanSquaredError', { input }, 'detach', 'a tensor');
  check.onlyKnown('meanSquaredError', options, ['reduction']);
  sameShape('meanSquaredError', 'target', target, input.shape);
  const error = aten.mse_loss(input, target, 0);
  return perSampleLoss('meanSquaredError', error, null, options);
}

/**
 * Binary cross entropy of logits, stable for large ones.
 *
 * @param logits any shape, samples (or rows of the segments) first @param targets the same shape, in [0, 1] @returns `[B]`
 * @throws ERR_INVALID_ARGUMENT for targets of another shape. @throws ERR_BATCH_DIMENSION if the rows are not those of the segments
 */
export function binaryCrossEntropy(logits: Tensor, targets: Tensor, options: SampleLossOptions = {}): Tensor {
  check.able('binaryCrossEntropy', { logits }, 'detach', 'a tensor');
  check.onlyKnown('binaryCrossEntropy', options, ['reduction']);
  sameShape('binaryCrossEntropy', 'targets', targets, logits.shape);
  const error = aten.binary_cross_entropy_with_logits(logits, targets, null, null, 0);
  return perSampleLoss('binaryCrossEntropy', error, null, options);
}

// Broadcast, [B, 1] and [B] make [B, B]: every sample's loss would hold everybody's target, which no gradient shows to the check of the
// first step, and clipping would bound nothing.
function sameShape(operation: string, name: string, value: Tensor, expected: readonly number[]): void {
  check.able(operation, { [name]: value }, 'detach', 'a tensor');
  const { shape } = value;
  if (shape.length === expected.length && shape.every((size, axis) => size === expected[axis])) return;
  raise(
    'ERR_INVALID_ARGUMENT',
    `${operation}: ${name} must have the shape [${expected.join(', ')}], got [${shape.join(', ')}]. Nothing is broadcast: a sample's loss ` +
      'would hold the targets of others.',
  );
}

/**
 * Elements to samples: by the surrounding segments, or without a scope by the first dimension.
 *
 * @param counted How much each element counts in the mean; `values` are multiplied by it already. Null: all alike.
 */
export function perSampleLoss(
  operation: string,
  values: Tensor,
  counted: Tensor | null,
  { reduction = 'mean' }: SampleLossOptions,
): Tensor {
  if (reduction !== 'mean' && reduction !== 'sum') {
    raise('ERR_INVALID_ARGUMENT', `${operation}: reduction must be one of "mean", "sum", got ${String(reduction)}.`);
  }
  const total = sumBySample(operation, values);
  if (reduction === 'sum') return total;
  const elements = sumBySample(operation, counted ?? values.detach().onesLike());
  return total.div(torch.ops.aten.where(elements.gt(0), elements, elements.onesLike()));
}

function sumBySample(operation: string, values: Tensor): Tensor {
  const [first = 0, ...rest] = values.shape;
  const rows = rest.length === 0 ? values : values.sum(rest.map((_, i) => i + 1));
  const segments = currentSegments();
  if (segments === null) return rows;
  if (first !== segments.rows) {
    raise(
      'ERR_BATCH_DIMENSION',
      `${operation}: the surrounding segments have ${segments.rows} rows, the loss has ${first}. For one row a sample, ` +
        'open segments.single().',
    );
  }
  return zeros([segments.samples], { dtype: rows.dtype, device: rows.device }).indexAdd(
    0,
    sampleOfRow(rows, segments.offsets),
    rows,
  );
}

function sampleOfRow(like: Tensor, offsets: BigInt64Array): Tensor {
  const owner = new BigInt64Array(Number(offsets.at(-1) ?? 0n));
  for (let b = 0; b + 1 < offsets.length; b += 1) owner.fill(BigInt(b), Number(offsets[b]), Number(offsets[b + 1]));
  return beside(like, owner);
}
