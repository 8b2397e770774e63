// A private stream of Gaussian noise: the key stays in native memory, and no part of the stream is used twice.

import { torch } from '../tensor';

// A source that is dropped without close() still has its key erased, once the collector gets to it.
const dropped = new FinalizationRegistry<number>((id) => torch.ops.phantomgrad.noise_source_release(id));

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
    dropped.register(this, this.id, this);
  }

  /** Erases the key. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    dropped.unregister(this);
    torch.ops.phantomgrad.noise_source_release(this.id);
  }
}
