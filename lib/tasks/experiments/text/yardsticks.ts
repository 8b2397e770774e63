// Bits a character without training: from how often characters, and pairs of them, occur in the training text.

import type { SequenceDataset } from '../../../data';

/**
 * Mean negative log2 probability of each predicted character. Counts start at 1, so that nothing is impossible. Not private.
 *
 * @returns `single`: the character alone. `pair`: after the character before it.
 */
export function countedBits(train: SequenceDataset, validation: SequenceDataset): { single: number; pair: number } {
  const size = train.itemCount + 1;
  const single = new Float64Array(size);
  const pair = new Float64Array(size * size);
  forPairs(train, (before, after) => {
    single[after] = (single[after] as number) + 1;
    pair[before * size + after] = (pair[before * size + after] as number) + 1;
  });
  const total = single.reduce((sum, count) => sum + count, 0);
  const rows = Float64Array.from({ length: size }, (_, id) =>
    pair.subarray(id * size, (id + 1) * size).reduce((sum, count) => sum + count, 0),
  );
  const bits = (count: number, of: number): number => -Math.log2((count + 1) / (of + train.itemCount));
  let [alone, paired, predicted] = [0, 0, 0];
  forPairs(validation, (before, after) => {
    alone += bits(single[after] as number, total);
    paired += bits(pair[before * size + after] as number, rows[before] as number);
    predicted += 1;
  });
  return { single: alone / predicted, pair: paired / predicted };
}

function forPairs(blocks: SequenceDataset, visit: (before: number, after: number) => void): void {
  for (let record = 0; record < blocks.length; record++) {
    const block = blocks.sequence(record);
    for (let k = 1; k < block.length; k++) visit(block[k - 1] as number, block[k] as number);
  }
}
