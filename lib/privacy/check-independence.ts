// Does any sample's loss depend on another sample? Asked of the model itself: change one sample, and watch the others.

import * as check from '../check';
import { raise } from '../errors';
import { beside, noGrad, Tensor, tidy } from '../tensor';

/** A model whose loss has one entry a sample. */
export interface LossModel<B> {
  loss(batch: B): Tensor;
}

export interface IndependenceOptions<B> {
  /** Samples to change, one after the other. Default: up to eight, evenly spread. */
  readonly samples?: readonly number[];
  /**
   * Gives a batch of the same layout in which only `sample` holds other data. Default: every tensor, typed array or array of the
   * batch with one entry a row or a sample takes the entries of other rows there; `offsets`, `recordIds` and what describes the
   * layout stay.
   */
  readonly change?: (batch: B, sample: number) => B;
}

type Layout = { readonly samples: number; readonly rows: number; readonly offsets: readonly number[] };

const LAYOUT = new Set(['offsets', 'recordIds', 'samples', 'rows', 'step', 'completesStep', 'positions']);

/**
 * Refuses a model in which samples mix: batch statistics, in-batch negatives, losses divided by the tokens of the whole batch. No
 * gradient is needed, so this also sees what the attribution check of the first step cannot: a dependence through detached values.
 *
 * @param batch  At least two samples, laid out as the model's own batches.
 * @throws ERR_SAMPLES_MIXED naming both samples when the loss of one moves because another was changed.
 * @throws ERR_INVALID_ARGUMENT when the batch has fewer than two samples, or changing a sample does not even move its own loss.
 * @example privacy.checkIndependence(model, data.SequenceDataset.from(sequences, items).pack(Int32Array.of(0, 1, 2), { rowBudget: 1e4 })[0]!)
 */
export function checkIndependence<B extends object>(
  model: LossModel<B>,
  batch: B,
  options: IndependenceOptions<B> = {},
): void {
  check.able('checkIndependence', { model }, 'loss', 'a model');
  check.object('checkIndependence', { batch });
  check.onlyKnown('checkIndependence', options, ['samples', 'change']);
  const before = losses(model, batch);
  if (before.length < 2) {
    raise('ERR_INVALID_ARGUMENT', `checkIndependence: expected at least two samples, got ${before.length}.`);
  }
  const chosen = options.samples ?? spread(before.length, 8);
  const change = options.change ?? ((all: B, sample: number) => changed(all, sample, before.length));
  const inert: number[] = [];
  for (const sample of chosen) {
    const after = losses(model, change(batch, sample));
    const moved = after.findIndex((value, b) => b !== sample && differs(value, before[b] as number));
    if (moved >= 0) {
      raise(
        'ERR_SAMPLES_MIXED',
        `checkIndependence: the loss of sample ${moved} moved from ${before[moved]} to ${after[moved]} when sample ${sample} was ` +
          'changed. Per-sample clipping cannot bound such a loss: remove batch normalisation, in-batch negatives and means over ' +
          'the batch, and divide each loss by its own tokens only.',
      );
    }
    if (!differs(after[sample] as number, before[sample] as number)) inert.push(sample);
  }
  if (inert.length === chosen.length) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `checkIndependence: changing samples ${inert.join(', ')} moved no loss at all, not even their own, so nothing was shown. ` +
        'Give change: (batch, sample) => a batch with other data in that sample.',
    );
  }
}

function losses<B>(model: LossModel<B>, batch: B): number[] {
  return tidy(() =>
    noGrad(() => {
      const loss = model.loss(batch);
      if (loss.shape.length !== 1) {
        raise(
          'ERR_LOSS_SHAPE',
          `checkIndependence: the loss must have one entry a sample, got [${loss.shape.join(', ')}].`,
        );
      }
      return loss.to('float64').toArray() as number[];
    }),
  );
}

// Kernels may choose another order of sums for other values; a real dependence is far larger.
function differs(a: number, b: number): boolean {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) !== Number.isNaN(b);
  return Math.abs(a - b) > 1e-6 * (1 + Math.abs(b));
}

function spread(count: number, most: number): number[] {
  if (count <= most) return Array.from({ length: count }, (_, b) => b);
  return Array.from({ length: most }, (_, k) => Math.round((k * (count - 1)) / (most - 1)));
}

function changed<B extends object>(batch: B, sample: number, samples: number): B {
  const layout = layoutOf(batch, samples);
  const entries = Object.entries(batch as Record<string, unknown>).map(([name, value]): [string, unknown] =>
    LAYOUT.has(name) ? [name, value] : [name, mixed(value, sample, layout)],
  );
  return Object.assign(Object.create(Object.getPrototypeOf(batch) as object | null) as B, Object.fromEntries(entries));
}

function layoutOf(batch: object, samples: number): Layout {
  const given = (batch as { offsets?: ArrayLike<bigint | number> }).offsets;
  const offsets =
    given === undefined ? Array.from({ length: samples + 1 }, (_, b) => b) : Array.from(given, (at) => Number(at));
  return { samples, rows: offsets.at(-1) as number, offsets };
}

// The entries of `sample` replaced by those of the rows (or samples) that follow it, cyclically; anything else as it is.
function mixed(value: unknown, sample: number, { samples, rows, offsets }: Layout): unknown {
  const length = value instanceof Tensor ? value.shape[0] : (value as { length?: number } | null)?.length;
  if (length === undefined || typeof value === 'string' || (length !== rows && length !== samples)) return value;
  const [first, end] =
    length === rows ? [offsets[sample] as number, offsets[sample + 1] as number] : [sample, sample + 1];
  const from = Array.from({ length }, (_, i) => (i >= first && i < end ? (i + (end - first)) % length : i));
  if (value instanceof Tensor) return value.indexSelect(0, beside(value, BigInt64Array.from(from, BigInt)));
  if (!isList(value)) return value;
  const copy = value.slice();
  from.forEach((row, to) => (copy[to] = value[row]));
  return copy;
}

interface List {
  [row: number]: unknown;
  slice(): List;
}

function isList(value: unknown): value is List {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}
