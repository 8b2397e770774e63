// What every backbone that reads texts offers: hidden rows, a word table, and what tokens it knows.

import type { TokenRows } from '../../data';
import { type Embedding, Module } from '../../nn';
import { beside, type Tensor, zeros } from '../../tensor';
import type { Prefix } from './prefix';
import type { TextLimits, TextScope } from './text-scope';

export abstract class TextBackbone extends Module implements TextLimits {
  abstract readonly words: Embedding;
  /** Width of the rows that {@link forward} returns. */
  abstract readonly dim: number;
  abstract readonly maxLength: number;
  /** Values that one row keeps for the backward pass, roughly: how many rows a physical batch can have. */
  abstract readonly activationsPerRow: number;
  /** Trained keys and values before every text; null: none. */
  prefix: Prefix | null = null;

  /** None, unless a family says otherwise. */
  get tokenTypes(): number {
    return 0;
  }

  get vocabulary(): number {
    return this.words.weight.shape[0] as number;
  }

  /** @internal Tokens have the positions behind the prefix, and so that many less. */
  putBefore(prefix: Prefix): void {
    this.prefix = prefix;
    (this as { maxLength: number }).maxLength -= prefix.length;
  }

  /** @returns `[N, dim]` */
  abstract forward(scope: TextScope): Tensor;
}

/**
 * Packed rows back where they were among the tokens as given, zeros at padding.
 *
 * @param rows `[N, ...]` @returns `[texts, width, ...]`
 */
export function padded(rows: Tensor, { texts, columns, width }: TokenRows): Tensor {
  const rest = rows.shape.slice(1);
  const places = new BigInt64Array(columns.length);
  for (let text = 0; text + 1 < texts.length; text++) {
    for (let row = Number(texts[text]); row < Number(texts[text + 1]); row++)
      places[row] = BigInt(text * width) + (columns[row] as bigint);
  }
  const count = texts.length - 1;
  return zeros([count * width, ...rest], { dtype: rows.dtype, device: rows.device })
    .indexCopy(0, beside(rows, places), rows)
    .view([count, width, ...rest]);
}
