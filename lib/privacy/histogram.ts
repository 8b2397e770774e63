// A noisy histogram of document frequency: in how many records each item occurs, for neighbours that add or remove a record.

import { raise } from '../errors';
import { publicGrid } from '../optim';
import { fromTypedArray, tidy, torch } from '../tensor';
import type { PrivateHistogram } from './frequencies';
import type { NoiseSource } from './noise-source';

/** Records that are sequences of items 1..itemCount. */
export interface ItemRecords {
  readonly length: number;
  readonly itemCount: number;
  sequence(record: number): ArrayLike<number>;
}

/** @throws ERR_INVALID_ARGUMENT for data whose records are no sequences of items. */
export function itemRecords(data: { readonly length: number }): ItemRecords {
  if ('itemCount' in data && 'sequence' in data && typeof data.sequence === 'function') return data as ItemRecords;
  return raise(
    'ERR_INVALID_ARGUMENT',
    'batches: frequencies.privateHistogram needs data with itemCount and sequence(record), such as a SequenceDataset.',
  );
}

/**
 * Counts of the last `longest` items of every record, each record scaled to norm at most √maxItems, with noise of standard
 * deviation noiseMultiplier · √maxItems on every item of the vocabulary, also on those that nobody has.
 *
 * @returns `[itemCount + 1]` estimated shares of records, from one standard deviation of the noise up to 1; index 0 is 1.
 */
export function noisyDocumentFrequency(
  data: ItemRecords,
  { noiseMultiplier, maxItems }: PrivateHistogram,
  noise: NoiseSource,
  longest = Infinity,
): Float64Array {
  const noiseStd = noiseMultiplier * Math.sqrt(maxItems);
  const counts = countedItems(data, maxItems, longest);
  const released = tidy(() => {
    const sum = fromTypedArray(counts, [counts.length]);
    return torch.ops.phantomgrad.privatise_(sum, noise.id, noiseStd, publicGrid(noiseStd), 1).toTypedArray();
  }) as Float64Array;
  // Below the noise a count says nothing, and a share of 0 would be an infinite error.
  return released.map((count, item) => (item === 0 ? 1 : Math.min(1, Math.max(count, noiseStd) / data.length)));
}

/** Sum over records of their distinct items; one record moves it by at most √maxItems. */
function countedItems(data: ItemRecords, maxItems: number, longest: number): Float64Array {
  const counts = new Float64Array(data.itemCount + 1);
  for (let record = 0; record < data.length; record++) {
    const sequence = data.sequence(record);
    const items = new Set<number>();
    for (let k = Math.max(0, sequence.length - longest); k < sequence.length; k++) items.add(sequence[k] as number);
    // Rounded down by more than the rounding of n squares.
    const share = items.size <= maxItems ? 1 : Math.sqrt(maxItems / items.size) * (1 - 2 ** -40);
    for (const item of items) counts[item] = (counts[item] as number) + share;
  }
  return counts;
}
