// Ragged sequences in the order of time: which rows of a packed batch are step 0 of their samples, step 1, and so on.

import { beside, type Tensor } from '../tensor';
import { Segments } from './segments';

/** Samples end at different steps; those that are still running keep their order, so that rows stay grouped by sample. */
export interface TimeStep {
  /** Samples that have a row at this step. */
  readonly running: number;
  /** One row for each of them, none for the others. */
  readonly segments: Segments;
  /** Where they stand among those of the step before (at step 0: among all samples); null if nobody has ended. */
  readonly survivors: Tensor | null;
}

/** Free it with `using`: its tensors are its own. */
export class TimeSteps {
  /** At least one, so that a batch without rows runs through the same operators. */
  readonly steps: readonly TimeStep[];
  /** `[N]` int64: row `order[k]` of the packed batch is the k-th in time order, the samples of step 0 first. */
  readonly order: Tensor;
  /** `[N]` int64, the way back: packed row n is the `places[n]`-th in time order. */
  readonly places: Tensor;
  /**
   * `[B]` int64: where the last state of each sample stands in a list of B initial states followed by the N states in time order.
   */
  readonly last: Tensor;

  /** @param backwards Step 0 is a sample's last row. */
  constructor({ offsets, step, token }: Segments, backwards: boolean, like: Tensor) {
    const at = Array.from(offsets, Number);
    const lengths = at.slice(1).map((end, b) => end - (at[b] as number));
    const rows = at.at(-1) as number;
    const [order, places] = [new BigInt64Array(rows), new BigInt64Array(rows)];
    const last = BigInt64Array.from(lengths, (_, b) => BigInt(b));
    const steps: TimeStep[] = [];
    let k = 0;
    let running = lengths.map((_, b) => b);
    for (let t = 0; t === 0 || running.length > 0; t++) {
      const left = running.flatMap((b, place) => ((lengths[b] as number) > t ? [place] : []));
      if (t > 0 && left.length === 0) break;
      const before = steps.at(-1);
      const changed = left.length < running.length;
      running = changed ? left.map((place) => running[place] as number) : running;
      for (const b of running) {
        const row = backwards ? (at[b + 1] as number) - 1 - t : (at[b] as number) + t;
        order[k] = BigInt(row);
        places[row] = BigInt(k);
        last[b] = BigInt(lengths.length + k++);
      }
      steps.push({
        running: running.length,
        segments: before === undefined || changed ? oneRowEach(lengths, t, step, token) : before.segments,
        survivors: changed ? indices(like, left) : null,
      });
    }
    this.steps = steps;
    this.order = beside(like, order, [rows]);
    this.places = beside(like, places, [rows]);
    this.last = beside(like, last, [lengths.length]);
  }

  [Symbol.dispose](): void {
    for (const { segments, survivors } of this.steps) {
      segments.dispose();
      survivors?.dispose();
    }
    for (const tensor of [this.order, this.places, this.last]) tensor.dispose();
  }
}

function oneRowEach(lengths: readonly number[], t: number, step: number, token: number): Segments {
  const offsets = new BigInt64Array(lengths.length + 1);
  for (const [b, length] of lengths.entries()) offsets[b + 1] = (offsets[b] as bigint) + (length > t ? 1n : 0n);
  return new Segments(offsets, undefined, step, token);
}

function indices(like: Tensor, values: readonly number[]): Tensor {
  return beside(like, BigInt64Array.from(values, BigInt), [values.length]);
}
