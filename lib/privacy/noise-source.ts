// A private stream of Gaussian noise: the key stays in native memory, and no part of the stream is used twice.

import { torch } from '../tensor';

/** Owns one native noise source. A new one has a fresh key from the operating system, so a resumed run never repeats noise. */
export class NoiseSource {
  readonly id: number;
  #open = true;

  /** @param insecureSeed  Derives the key from a number: repeatable, hence not private. For tests only. */
  constructor(readonly insecureSeed?: number) {
    this.id =
      insecureSeed === undefined
        ? torch.ops.phantomgrad.noise_source_create()
        : torch.ops.phantomgrad.noise_source_create(insecureSeed);
  }

  /** Erases the key. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    torch.ops.phantomgrad.noise_source_release(this.id);
  }
}
