// What the first steps have to show before an engine trusts a model: samples do not mix, and every parameter is used.

import { randomBytes } from 'node:crypto';

import type { Tensor } from '../tensor';
import type { GradientBook } from './gradient-book';

/** Asks until it has been shown once; asking again at every step would cost a backward pass each time. */
export class FirstStepChecks {
  #apart: boolean; // samples were seen not to mix
  #witnessed = false; // in this logical step
  #complete = false; // every parameter had a use
  #unused: ReadonlySet<string> | null = null; // in this logical step; null: no samples yet

  constructor(attributionCheck: boolean) {
    this.#apart = !attributionCheck;
  }

  /**
   * Two more backward passes, for a random half of the samples and for the others: two samples that mix are told apart by every
   * second draw. A sample alone has nobody to mix with and shows nothing: the check then waits for a batch with two.
   *
   * @throws ERR_SAMPLES_MIXED
   */
  attribution(book: GradientBook, loss: Tensor): void {
    const samples = loss.shape[0] as number;
    if (this.#apart || samples < 2) return;
    const half = randomHalf(samples);
    book.checkAttribution(loss, half);
    book.checkAttribution(
      loss,
      half.map((chosen) => !chosen),
    );
    this.#witnessed = true;
  }

  /** Notes the parameters that one physical batch with samples made no use of. */
  uses(unused: readonly string[]): void {
    if (this.#complete) return;
    const before = this.#unused;
    this.#unused = new Set(before === null ? unused : unused.filter((name) => before.has(name)));
  }

  /**
   * Ends the logical step. A parameter that never gets a use is an error, not a frozen one: it would receive noise for nothing.
   *
   * @returns The name of a parameter without a use in the first logical step that had samples.
   */
  finish(): string | undefined {
    this.#apart ||= this.#witnessed;
    if (this.#unused === null) return undefined;
    const [name] = this.#unused;
    this.#unused = null;
    this.#complete = name === undefined;
    return name;
  }
}

// Half of the samples, the first and the last apart from each other: neighbours mix most often, and ends with ends.
function randomHalf(samples: number): boolean[] {
  const bytes = randomBytes(samples);
  const half = Array.from(bytes, (byte) => byte % 2 === 0);
  half[samples - 1] = half[0] !== true;
  return half;
}
