// What a record is known by where something is drawn for it alone: dropout masks, and which of its sequences it trains on.
//
// Not its number: without record 3, record 4 has the number 3, and so on to the last. If masks followed from seed and number, which
// everybody knows, then leaving out one record would change the gradients of all behind it, and clipping bounds one. Under a secret key
// the numbers give independent draws, whose law does not depend on who has which number: the output of a run on some records has the
// same distribution in whatever order they are numbered, and a record that is left out takes nothing but its own gradient with it.

import { createCipheriv, randomBytes } from 'node:crypto';

import type { RandomSource } from './sampling';

const BLOCK = 16;

/** Keys of their own for different draws. */
const PURPOSES = { masks: 0, choice: 1 } as const;

/** AES-128 of the number under a key of this run, which is stored nowhere. Repeatable sources take the numbers themselves. */
export class RecordKeys {
  readonly #secret: Buffer | null;

  constructor({ insecureSeed }: RandomSource) {
    this.#secret = insecureSeed === undefined ? randomBytes(BLOCK) : null;
  }

  /** `[B]` keys of dropout masks. */
  masks(recordIds: ArrayLike<number>): BigInt64Array {
    return this.#of(recordIds, 'masks');
  }

  /** A whole number from 0 to 2^32 - 1 that chooses among the sequences of a record. */
  choice(record: number): number {
    return Number(BigInt.asUintN(32, this.#of([record], 'choice')[0] as bigint));
  }

  #of(recordIds: ArrayLike<number>, purpose: keyof typeof PURPOSES): BigInt64Array {
    if (this.#secret === null) return BigInt64Array.from({ length: recordIds.length }, (_, b) => BigInt(recordIds[b]!));
    const blocks = Buffer.alloc(BLOCK * recordIds.length);
    for (let b = 0; b < recordIds.length; b++) {
      blocks.writeBigInt64LE(BigInt(recordIds[b] as number), BLOCK * b);
      blocks[BLOCK * b + 8] = PURPOSES[purpose];
    }
    const cipher = createCipheriv('aes-128-ecb', this.#secret, null).setAutoPadding(false);
    const random = cipher.update(blocks);
    return BigInt64Array.from({ length: recordIds.length }, (_, b) => random.readBigInt64LE(BLOCK * b));
  }
}
