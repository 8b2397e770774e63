// Which rows belong to which sample: the scope that operators read while a model runs on packed rows.

import { types } from 'node:util';

import * as check from '../check';
import { raise } from '../errors';
import { fromTypedArray, keep, type Tensor, torch } from '../tensor';

// A loss must come from the batch that was drawn: every batch object has a number, which its scope carries.
const tokens = new WeakMap<object, number>();
let lastToken = 0;

/** The number of a batch: the same for the same object, another one for every other. */
export function batchToken(batch: object): number {
  check.object('batchToken', { batch });
  let token = tokens.get(batch);
  if (token === undefined) {
    token = ++lastToken;
    tokens.set(batch, token);
  }
  return token;
}

const keysOf = new WeakMap<object, BigInt64Array>();

/**
 * Gives the samples of a batch keys of their own: dropout follows from these, not from the numbers of the records. Engines that train with
 * privacy call it for the batches that they hand out, because a number tells how many records stand before it.
 *
 * @param keys  `[B]`.
 */
export function keyBatch(batch: object, keys: BigInt64Array): void {
  keysOf.set(batch, keys);
}

/** From numbers of records to keys. */
export type KeysOf = (recordIds: ArrayLike<number>) => BigInt64Array;

let keysOfRecords: KeysOf | null = null;

/**
 * From now on, rows in segments that name no batch come from `batch`; null: from none in particular. Engines call this for the
 * batch that they hand out, so that a loss computed before, from another batch, is refused.
 *
 * @param keys  What segments make of the numbers of records until the next call: a model that opens segments of its own has the numbers
 *   alone, and dropout must not follow from them. Default: the numbers themselves.
 */
export function enterBatch(batch: object | null, keys: KeysOf | null = null): void {
  torch.ops.phantomgrad.set_batch(batch === null ? 0 : batchToken(batch));
  keysOfRecords = keys;
}

function keysFrom(recordIds: ArrayLike<number> | BigInt64Array): BigInt64Array {
  if (recordIds instanceof BigInt64Array) return recordIds;
  return keysOfRecords?.(recordIds) ?? BigInt64Array.from(recordIds, BigInt);
}

/** What {@link Segments.of} reads of a batch. */
export interface SegmentedBatch {
  /** `[B + 1]` rows `offsets[b] .. offsets[b + 1]` belong to sample b. */
  readonly offsets: BigInt64Array;
  /**
   * `[B]` record of each sample: dropout is keyed by it. Keyed by the place in the batch instead, one record more or less would
   * change what is dropped of the others, which no clipping bounds. Dropout therefore refuses to train without it.
   */
  readonly recordIds?: ArrayLike<number>;
  /** Logical step, the other half of that key. */
  readonly step?: number;
}

/** Rows `cuSeqlens[b] .. cuSeqlens[b + 1]` belong to sample b. Free it with `dispose()` (or `using`). */
export class Segments {
  /** `[B + 1]` int64 on the CPU. */
  readonly cuSeqlens: Tensor;
  /** `[B]` int64: the records' numbers, or what an engine has given in their place. */
  readonly sampleKeys: Tensor;
  /** The same as an array. */
  readonly keys: BigInt64Array;
  /** Whether samples are known by their records: dropout asks for it while training. */
  readonly keyed: boolean;
  readonly samples: number;
  readonly rows: number;

  /** @param recordIds  `[B]` numbers of records, or keys that were made of them. */
  constructor(
    readonly offsets: BigInt64Array,
    recordIds: ArrayLike<number> | BigInt64Array | undefined,
    readonly step: number,
    readonly token: number,
  ) {
    if (!(offsets instanceof BigInt64Array)) check.able('Segments', { offsets }, 'readBigInt64LE', 'a BigInt64Array');
    this.samples = offsets.length - 1;
    this.rows = Number(offsets[this.samples] ?? 0n);
    if (this.samples < 0)
      raise('ERR_BATCH_DIMENSION', 'Segments: offsets must have one entry more than there are samples.');
    if (recordIds !== undefined && recordIds.length !== this.samples) {
      raise('ERR_BATCH_DIMENSION', `Segments: expected ${this.samples} record ids, got ${recordIds.length}.`);
    }
    this.keyed = recordIds !== undefined;
    this.keys =
      recordIds === undefined ? BigInt64Array.from({ length: this.samples }, (_, b) => BigInt(b)) : keysFrom(recordIds);
    this.cuSeqlens = keep(fromTypedArray(offsets, [offsets.length]));
    this.sampleKeys = keep(fromTypedArray(this.keys, [this.samples]));
  }

  /** The segments of a batch. Whoever computes a loss from them computes it from that very batch. */
  static of(batch: SegmentedBatch): Segments {
    return new Segments(batch.offsets, keysOf.get(batch) ?? batch.recordIds, batch.step ?? 0, batchToken(batch));
  }

  /**
   * `samples` samples of `rowsEach` rows, for inputs without a batch object. Dropout needs the record of each sample, and another
   * `step` for every step.
   */
  static equal(samples: number, rowsEach = 1, options: Pick<SegmentedBatch, 'recordIds' | 'step'> = {}): Segments {
    check.onlyKnown('Segments.equal', options, ['recordIds', 'step']);
    const { recordIds, step = 0 } = options;
    const offsets = BigInt64Array.from({ length: samples + 1 }, (_, b) => BigInt(b * rowsEach));
    return new Segments(offsets, recordIds, step, 0);
  }

  /** One row a sample, of the same batch: for heads that read the last row of every sample. */
  single(): Segments {
    return this.withOffsets(BigInt64Array.from({ length: this.samples + 1 }, (_, b) => BigInt(b)));
  }

  /** Other rows of the same samples of the same batch. @param offsets `[B + 1]` @throws ERR_BATCH_DIMENSION for another B */
  withOffsets(offsets: BigInt64Array): Segments {
    if (offsets.length !== this.samples + 1)
      raise('ERR_BATCH_DIMENSION', `Segments: expected ${this.samples + 1} offsets, got ${offsets.length}.`);
    return new Segments(offsets, this.#ownKeys, this.step, this.token);
  }

  /** The same samples at another step: where a layer is used twice, its dropout drops something else the second time. */
  atStep(step: number): Segments {
    return new Segments(this.offsets, this.#ownKeys, step, this.token);
  }

  get #ownKeys(): BigInt64Array | undefined {
    return this.keyed ? this.keys : undefined;
  }

  dispose(): void {
    this.cuSeqlens.dispose();
    this.sampleKeys.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * The segments of `[samples, rows, dim]` where no scope is open. They are the caller's to free.
 *
 * @throws ERR_BATCH_DIMENSION for any other number of dimensions: packed rows say nothing about samples.
 */
export function equalSegments(operation: string, x: Tensor): Segments {
  const [samples = 0, rows = 0, ...rest] = x.shape;
  if (rest.length !== 1) {
    raise(
      'ERR_BATCH_DIMENSION',
      `${operation}: without open segments the input must be [samples, rows, dim], got [${x.shape.join(', ')}]. ` +
        'Run the model inside nn.withSegments(segments, …) for packed rows.',
    );
  }
  return Segments.equal(samples, rows);
}

let current: Segments | null = null;

/** The innermost open segments, or null. */
export function currentSegments(): Segments | null {
  return current;
}

/**
 * Runs `run` while operators take their rows to belong to samples as `segments` says. Scopes nest.
 *
 * @throws ERR_INVALID_ARGUMENT when `run` returns a promise: another task would then run inside the scope.
 */
export function withSegments<T>(segments: Segments, run: () => T): T {
  check.able('withSegments', { segments }, 'withOffsets', 'segments');
  const outer = current;
  open(segments);
  try {
    const result = run();
    if (types.isPromise(result)) raise('ERR_INVALID_ARGUMENT', 'withSegments: the function must not be asynchronous.');
    return result;
  } finally {
    open(outer);
  }
}

// Native code first: if it refuses the segments, those that were open stay open.
function open(segments: Segments | null): void {
  if (segments === null) torch.ops.phantomgrad.set_segments(null);
  else torch.ops.phantomgrad.set_segments(segments.cuSeqlens, segments.token);
  current = segments;
}
