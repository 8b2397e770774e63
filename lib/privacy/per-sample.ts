// Per-sample norms and clipped sums of any model without an engine: for tests, debugging and papers.

import * as check from '../check';
import { raise } from '../errors';
import { keep, type Tensor, tidy } from '../tensor';
import type { GradientMode, TrainableModel } from './attached';
import { boundedFactors } from './bounded-factors';
import { boundedGroups, type Clip, together } from './clip';
import { GradientBook, type SampleNorms } from './gradient-book';
import { checkScales, type GradientScales } from './scales';
import { trainable } from './trainable';

export interface PerSampleOptions {
  /** As {@link Performance}.gradients: `materialize` is the slow road that every fast one must agree with. Default `factors`. */
  readonly gradients?: GradientMode;
  /** As of the engine: norms and sums are then those of the scaled gradients. */
  readonly scales?: GradientScales;
}

export interface ClippedSum extends SampleNorms {
  /** Σ_b factor_b G_b, times the scale where there are scales, of each trained parameter, by name and in its shape, float64. Dispose them. */
  readonly sums: ReadonlyMap<string, Tensor>;
  /** `[G][B]` factor of each sample in each group; 0 where its loss or gradient is not finite. */
  readonly factors: readonly Float64Array[];
}

/**
 * The norm of every sample's gradient, over all trained parameters and over each. One backward pass; no gradient is formed that the
 * layers do not need. Not private: norms of single samples must not be published.
 *
 * @param loss  Computes the `[B]` per-sample loss of `model`.
 * @throws ERR_ENGINE_STATE while an engine is attached to the model. @throws what `optimizer.step` throws for a loss that mixes
 *   samples, has no per-sample rule or another shape. The model is as it was, except that its parameters have moved in memory.
 * @example privacy.perSampleNorms(model, () => model.loss(batch)).bound
 */
export function perSampleNorms(model: TrainableModel, loss: () => Tensor, options: PerSampleOptions = {}): SampleNorms {
  return inBook('perSampleNorms', model, loss, options, null, (book) => book.norms());
}

/**
 * Clips every sample's gradient and adds them up, as a private step does before noise. Not private without it.
 *
 * @param clip  Rule and grouping; its `maxGradNorm` bounds what one sample adds.
 * @throws as {@link perSampleNorms}, and ERR_PARAMETER_GROUPS for a grouping that does not fit the model.
 * @example const { sums } = privacy.clippedSum(model, () => model.loss(batch), privacy.abadi({ maxGradNorm: 1 }))
 */
export function clippedSum(
  model: TrainableModel,
  loss: () => Tensor,
  clip: Clip,
  options: PerSampleOptions = {},
): ClippedSum {
  return inBook('clippedSum', model, loss, options, clip, (book, finite) => {
    const norms = book.norms();
    // A sample that is not finite in one group is dropped in all.
    const kept = finite.map((own, b) => own && norms.groups.every(({ bound }) => Number.isFinite(bound[b])));
    const factors = norms.groups.map(({ bound }, g) =>
      boundedFactors(
        clip,
        bound.map((value, b) => (kept[b] === true ? value : NaN)),
        (book.groups.groups[g] as { share: number }).share,
      ),
    );
    book.add(factors);
    return { ...norms, factors, sums: split(book, trainable(model)) };
  });
}

function inBook<T>(
  operation: string,
  model: TrainableModel,
  loss: () => Tensor,
  options: PerSampleOptions,
  clip: Clip | null,
  run: (book: GradientBook, finite: readonly boolean[]) => T,
): T {
  check.onlyKnown(operation, options, ['gradients', 'scales']);
  const { gradients = 'factors', scales } = options;
  check.oneOf(operation, { gradients }, ['factors', 'materialize']);
  const parameters = trainable(model);
  const names = [...parameters.keys()];
  const groups = boundedGroups(clip?.grouping?.assign(names) ?? together(names), names.length);
  const scaled = scales === undefined ? {} : { scales: checkScales(scales).assign(names) };
  const book = new GradientBook(parameters, { groups, gradients, ...scaled });
  try {
    return tidy(() => {
      const values = loss();
      if (values.shape.length !== 1) {
        raise(
          'ERR_LOSS_SHAPE',
          `${operation}: the loss must have one entry a sample, got [${values.shape.join(', ')}]. Do not average it over the batch.`,
        );
      }
      const finite = Array.from(values.detach().to('float64').toTypedArray() as Float64Array, Number.isFinite);
      if (finite.length > 1)
        book.checkAttribution(
          values,
          finite.map((_, b) => b % 2 === 0),
        );
      book.backward(values, 0);
      return run(book, finite);
    });
  } finally {
    book.close();
  }
}

// Copies, because the book's memory goes with it.
function split(book: GradientBook, parameters: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  let at = 0;
  return new Map(
    book.names.map((name) => {
      const { shape, numel } = parameters.get(name) as Tensor;
      const part = book.sum.narrow(0, at, numel).clone().view(shape);
      at += numel;
      return [name, keep(part)];
    }),
  );
}
