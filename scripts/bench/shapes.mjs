// The shapes of the benchmark: two recommenders with the lengths of real histories, two language models with full rows.

// Every 2.5 % quantile of the training lengths (users with at least 5 actions, last two actions held out, cut to maxLength):
// MovieLens-1M, 6,040 users, mean 107.9; Amazon Video Games, 29,341 users, mean 7.2.
const MOVIELENS = [
  16, 19, 21, 23, 25, 28, 30, 33, 35, 39, 42, 45, 49, 53, 58, 62, 68, 73, 79, 86, 94, 100, 107, 116, 124, 135, 146, 157,
  171, 189, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200,
];
const GAMES = [
  3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 6, 6, 6, 7, 7, 8, 8, 9, 10, 11, 12, 14, 16,
  20, 30, 50,
];

export const shapes = {
  movielens: { items: 3416, maxLength: 200, dim: 64, blocks: 2, quantiles: MOVIELENS, batches: [128, 1024] },
  games: { items: 22266, maxLength: 50, dim: 64, blocks: 2, quantiles: GAMES, batches: [128, 1024] },
  // TinyShakespeare's alphabet, and GPT-2 small.
  charlm: { items: 64, maxLength: 256, dim: 384, blocks: 6, heads: 6, batches: [8] },
  gpt2: { items: 50256, maxLength: 128, dim: 768, blocks: 12, heads: 12, batches: [4] },
};

/** Language models have heads, and every row of theirs is full. */
export const isLanguageModel = (shape) => shape.heads !== undefined;

/** `count` lengths drawn from a shape's quantiles with a fixed sequence: every side of a comparison gets the same ones. */
export function lengthsOf(shape, count) {
  if (isLanguageModel(shape)) return Array(count).fill(shape.maxLength);
  let state = 1;
  const next = () => (state = (state * 48271) % 2147483647) / 2147483647;
  return Array.from({ length: count }, () => {
    const at = next() * (shape.quantiles.length - 1);
    const low = Math.floor(at);
    return Math.round(shape.quantiles[low] + (at - low) * (shape.quantiles[low + 1] - shape.quantiles[low]));
  });
}
