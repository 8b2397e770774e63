// The special tokens around one text and around two, and how texts are cut so that the whole keeps a length.

import { raise } from '../../errors';
import type { Encoded } from './text-tokenizer';

/** Ids before, between and after the texts, with the type of each and of the texts themselves. */
export interface Frame {
  readonly before: Encoded;
  /** Empty for a frame around one text. */
  readonly between: Encoded;
  readonly after: Encoded;
  readonly types: readonly [number, number];
}

export const NOTHING: Encoded = { ids: new Int32Array(0), types: new Uint8Array(0) };

/** No special tokens at all. */
export const BARE: Frame = { before: NOTHING, between: NOTHING, after: NOTHING, types: [0, 0] };

/** @throws ERR_INVALID_ARGUMENT when `maxLength` leaves no room for any text. */
export function framed(frame: Frame, texts: readonly Int32Array[], maxLength = Infinity): Encoded {
  const { before, between, after, types } = frame;
  const specials = before.ids.length + between.ids.length + after.ids.length;
  if (maxLength <= specials) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `encode: maxLength must leave room for text beside ${specials} special tokens, got ${maxLength}.`,
    );
  }
  const cut = cutLongest(texts, maxLength - specials);
  const parts: Encoded[] = [before];
  cut.forEach((ids, k) => {
    if (k > 0) parts.push(between);
    parts.push({ ids, types: new Uint8Array(ids.length).fill(types[k] as number) });
  });
  parts.push(after);
  return joined(parts);
}

/**
 * Takes ids from the end of whichever text is longest until `room` holds them all. Of texts that have become equally long the one that was
 * longer keeps one id more, of equals the later one, as the Rust tokenizers do (`longest_first`).
 */
export function cutLongest(texts: readonly Int32Array[], room: number): Int32Array[] {
  const lengths = texts.map((text) => text.length);
  const order = Array.from(texts.keys()).sort((a, b) => texts[a]!.length - texts[b]!.length);
  let excess = lengths.reduce((sum, length) => sum + length, 0) - room;
  for (; excess > 0; excess--) {
    const most = Math.max(...lengths);
    lengths[order.find((k) => lengths[k] === most)!]! -= 1;
  }
  return texts.map((text, k) => text.subarray(0, lengths[k]));
}

export function joined(parts: readonly Encoded[]): Encoded {
  const length = parts.reduce((sum, { ids }) => sum + ids.length, 0);
  const [ids, types] = [new Int32Array(length), new Uint8Array(length)];
  let at = 0;
  for (const part of parts) {
    ids.set(part.ids, at);
    types.set(part.types, at);
    at += part.ids.length;
  }
  return { ids, types };
}
