// The batches of a run: the sampler draws records, the data packs them, and each physical batch is handed out once.

import * as check from '../check';
import { raise } from '../errors';
import type { DrawingSampler, RandomSource, Sampler } from './sampling';

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
}

/** What a model says about how its batches should be laid out. */
export interface Packing extends Omit<PackingOptions, 'rowBudget'> {
  /** Memory that one row needs between forward and update, in bytes: mostly its logits. */
  readonly bytesPerRow: number;
}

/** A batch as handed out, stamped with its logical step. */
export type Sampled<B> = B & { readonly step: number };

/**
 * Draws logical batches from step `first` to the last planned one. A batch that was handed out must be given to `step` before
 * the next one is asked for: leaving one out would make the released sum depend on the data in a way that no accountant knows.
 */
export class BatchStream<B extends PhysicalBatch> {
  #outstanding: Sampled<B> | null = null;

  constructor(
    private readonly sampler: Sampler,
    private readonly records: number,
    private readonly random: RandomSource,
  ) {}

  get outstanding(): Sampled<B> | null {
    return this.#outstanding;
  }

  /** Marks the outstanding batch as used. */
  consume(): void {
    this.#outstanding = null;
  }

  *draw(
    data: PackableData<B>,
    options: PackingOptions,
    nextStep: () => number | null,
  ): Generator<Sampled<B>, void, void> {
    const sampler = drawing(this.sampler);
    check.integer('batches', { length: data.length }, this.records, this.records);
    for (let step = nextStep(); step !== null; step = nextStep()) {
      this.random.startStep(step);
      const drawn = sampler.draw(this.records, this.random);
      for (const batch of data.pack(drawn, options)) {
        const sampled = Object.freeze({ ...batch, step });
        this.#outstanding = sampled;
        yield sampled;
        if (this.#outstanding !== null) {
          raise('ERR_BATCH_NOT_SAMPLED', 'batches: the previous batch was not given to optimizer.step({ loss }).');
        }
      }
    }
  }
}

function drawing(sampler: Sampler): DrawingSampler {
  if ('draw' in sampler) return sampler as DrawingSampler;
  return raise(
    'ERR_INVALID_ARGUMENT',
    `batches: the sampler ${sampler.kind} draws nothing. Give your own batches to optimizer.step.`,
  );
}
