// Random numbers from a seed: LibTorch's global generator, and generators of one's own.

import { bridge } from './handles';
import { core, type Handle } from './native';

/** Seeds LibTorch's global generators, on every device. Initialisation of our modules does not use them. */
export function manualSeed(seed: number | bigint): void {
  core().manualSeed(seed);
}

/**
 * A CPU random number generator with a state of its own: `tensor.normal_(0, 1, { generator })`.
 * Equal seeds give equal streams. Not for privacy: it is a Mersenne twister.
 */
export class Generator {
  readonly #handle: Handle;

  constructor(seed: number | bigint) {
    this.#handle = core().generator(seed);
  }

  static {
    bridge.generatorHandle = (value) => (#handle in value ? value.#handle : undefined);
  }
}
