// The batches of a run: the sampler draws records, the data packs them, and each physical batch is handed out once.

import * as check from '../check';
import { raise } from '../errors';
import { enterBatch, keyBatch } from '../nn/segments';
import { RecordKeys } from './record-keys';
import type { Draws, DrawingSampler, RandomSource, Sampler } from './sampling';

/** What an engine knows of a physical batch. */
export interface PhysicalBatch {
  readonly samples: number;
  /** Last physical batch of its logical batch. */
  readonly completesStep: boolean;
}

/** Data that can lay out chosen records as physical batches. */
export interface PackableData<B extends PhysicalBatch> {
  readonly length: number;
  pack(recordIds: Int32Array, options: PackingOptions): B[];
}

export interface PackingOptions {
  readonly rowBudget: number;
  readonly maxLength?: number;
  readonly targets?: 'all' | 'last';
  /** Logical step, given by the engine: data whose records hold several sequences choose one by it. */
  readonly step?: number;
  /**
   * Given by the engine: a number from 0 to 2^32 - 1 for a record, by which such data choose. Its number in the data would not do: it tells how
   * many records stand before it.
   */
  readonly choice?: (record: number) => number;
}

/** What a model says about how its batches should be laid out. */
export interface Packing extends Omit<PackingOptions, 'rowBudget' | 'step' | 'choice'> {
  /** Memory that one row needs between forward and update, in bytes: mostly its logits. */
  readonly bytesPerRow: number;
}

/** A batch as handed out, stamped with its logical step. */
export type Sampled<B> = B & { readonly step: number };

/**
 * Draws logical batches up to the last planned one. A batch that was handed out must be given to `step` before
 * the next one is asked for: leaving one out would make the released sum depend on the data in a way that no accountant knows.
 *
 * A logical batch that was begun is finished before another one is drawn, whoever asks: what was summed of it must never meet
 * the records of a second draw, in which a record could count twice.
 */
export class BatchStream<B extends PhysicalBatch> {
  #logical: readonly Sampled<B>[] = [];
  #consumed = 0; // of #logical
  #outstanding: Sampled<B> | null = null;
  readonly #keys: RecordKeys;
  #draws: Draws | null = null; // one assignment of records to batches for the whole run, where the sampler has one

  constructor(
    private readonly sampler: Sampler,
    private readonly records: number,
    private readonly random: RandomSource,
  ) {
    this.#keys = new RecordKeys(random);
  }

  get outstanding(): Sampled<B> | null {
    return this.#outstanding;
  }

  /** Marks the outstanding batch as used. */
  consume(): void {
    if (this.#outstanding === null) return;
    this.#outstanding = null;
    this.#consumed += 1;
    enterBatch(null);
  }

  /** What was summed of an unfinished logical batch is lost: its batches are handed out again, from the first. */
  restart(): void {
    this.#outstanding = null;
    enterBatch(null);
    if (this.#consumed < this.#logical.length) this.#consumed = 0;
  }

  *draw(
    data: PackableData<B>,
    options: PackingOptions,
    nextStep: () => number | null,
  ): Generator<Sampled<B>, void, void> {
    this.#draws ??= drawing(this.sampler).open(this.records, this.random);
    const draws = this.#draws;
    check.integer('batches', { length: data.length }, this.records, this.records);
    for (;;) {
      if (this.#consumed === this.#logical.length) {
        const step = nextStep();
        if (step === null) return;
        this.random.startStep(step);
        const drawn = draws.batch(step);
        const choice = (record: number): number => this.#keys.choice(record);
        const batches = checkPacking(data.pack(drawn, { ...options, step, choice }), drawn.length);
        this.#logical = batches.map((batch) => this.#handedOut(batch, step));
        this.#consumed = 0;
      }
      const batch = this.#logical[this.#consumed] as Sampled<B>;
      this.#outstanding = batch;
      enterBatch(batch, (recordIds) => this.#keys.masks(recordIds));
      yield batch;
      if (this.#outstanding !== null) {
        raise('ERR_BATCH_NOT_SAMPLED', 'batches: the previous batch was not given to optimizer.step({ loss }).');
      }
    }
  }

  #handedOut(batch: B, step: number): Sampled<B> {
    const sampled = Object.freeze({ ...batch, step });
    const { recordIds } = batch as { readonly recordIds?: ArrayLike<number> };
    if (recordIds !== undefined) keyBatch(sampled, this.#keys.masks(recordIds));
    return sampled;
  }
}

// An empty draw is a step of noise alone: data that answers it with no batch at all would have it drawn again, which no accountant knows.
function checkPacking<B extends PhysicalBatch>(batches: readonly B[], drawn: number): readonly B[] {
  const samples = batches.reduce((sum, batch) => sum + batch.samples, 0);
  const last = batches.length - 1;
  if (last < 0 || samples !== drawn || batches.some(({ completesStep }, k) => completesStep !== (k === last))) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `batches: pack must lay out every drawn record once, in at least one batch (without samples for an empty draw), and only ` +
        `the last completes the step. ${drawn} were drawn; got ${batches.length} batches with ${samples} samples, of which ` +
        `${batches.filter(({ completesStep }) => completesStep).length} complete the step.`,
    );
  }
  return batches;
}

function drawing(sampler: Sampler): DrawingSampler {
  if ('open' in sampler) return sampler as DrawingSampler;
  return raise(
    'ERR_INVALID_ARGUMENT',
    `batches: the sampler ${sampler.kind} draws nothing. Give your own batches to optimizer.step.`,
  );
}
