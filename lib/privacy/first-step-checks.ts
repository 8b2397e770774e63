// What the first steps have to show before an engine trusts a model: samples do not mix, and every parameter is used.

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
   * One more backward pass for the first and the last sample of `loss`. A sample alone has nobody to mix with and shows nothing:
   * the check then waits for a batch with two.
   *
   * @throws ERR_SAMPLES_MIXED
   */
  attribution(book: GradientBook, loss: Tensor): void {
    const samples = loss.shape[0] as number;
    if (this.#apart || samples < 2) return;
    for (const sample of [0, samples - 1]) book.checkAttribution(loss, sample);
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
