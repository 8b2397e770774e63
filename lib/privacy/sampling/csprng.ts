// Uniform random numbers from a cryptographic generator: the operating system's, or a ChaCha20 stream for repeatable tests.

import { createCipheriv, createHash, randomFillSync } from 'node:crypto';
import { raise } from '../../errors';

/** Where a sampler takes its randomness from. */
export interface RandomSource {
  /** Set when the stream repeats: nothing that was drawn from it is private. */
  readonly insecureSeed?: number;
  /** Uniform on {1, …, 2^53} / 2^53: in (0, 1], never 0, so that its logarithm is finite. */
  uniform(): number;
  /**
   * Starts the numbers that belong to logical step `step`. A repeatable source gives step t the same numbers whether or not the
   * steps before it were drawn, so that a resumed run continues as an uninterrupted one would. The secure source ignores it.
   */
  startStep(step: number): void;
}

const BLOCK = 1 << 16;

abstract class Buffered {
  readonly #block = Buffer.alloc(BLOCK);
  #at = BLOCK;

  protected abstract refill(block: Buffer): void;

  protected forget(): void {
    this.#at = BLOCK;
  }

  uniform(): number {
    if (this.#at + 8 > BLOCK) {
      this.refill(this.#block);
      this.#at = 0;
    }
    const high = this.#block.readUInt32LE(this.#at) >>> 11; // 21 bits
    const low = this.#block.readUInt32LE(this.#at + 4); // 32 bits
    this.#block.fill(0, this.#at, this.#at + 8); // who reads this memory later does not learn the sample
    this.#at += 8;
    return (high * 2 ** 32 + low + 1) * 2 ** -53;
  }
}

class SecureRandom extends Buffered implements RandomSource {
  protected refill(block: Buffer): void {
    randomFillSync(block);
  }

  startStep(): void {}
}

class RepeatableRandom extends Buffered implements RandomSource {
  readonly #key: Buffer;
  #stream: ReturnType<typeof createCipheriv>;

  constructor(
    readonly insecureSeed: number,
    purpose: string,
  ) {
    super();
    this.#key = createHash('sha256').update(`phantomgrad insecure ${purpose} ${insecureSeed}`).digest();
    this.#stream = this.#open(0);
  }

  protected refill(block: Buffer): void {
    this.#stream.update(Buffer.alloc(block.length)).copy(block);
  }

  startStep(step: number): void {
    this.#stream = this.#open(step);
    this.forget();
  }

  // OpenSSL's chacha20 takes a 16-byte IV: a 64-bit block counter from 0, then a 64-bit nonce, which is the step.
  #open(step: number): ReturnType<typeof createCipheriv> {
    const iv = Buffer.alloc(16);
    iv.writeBigUInt64LE(BigInt(step), 8);
    return createCipheriv('chacha20', this.#key, iv);
  }
}

/** The operating system's generator. Amplification by sampling assumes that nobody can guess the sample: use this. */
export function secureRandom(): RandomSource {
  return new SecureRandom();
}

/**
 * A repeatable stream for tests and demonstrations: ChaCha20 under a key derived from seed and purpose.
 *
 * @param purpose  Sub-key label, so that streams for different uses are independent.
 * @throws ERR_INVALID_ARGUMENT when the seed is not a whole number.
 */
export function insecureRandom(insecureSeed: number, purpose = 'sampling'): RandomSource {
  if (!Number.isSafeInteger(insecureSeed))
    raise('ERR_INVALID_ARGUMENT', `insecureRandom: insecureSeed must be a whole number, got ${insecureSeed}.`);
  return new RepeatableRandom(insecureSeed, purpose);
}
