// Models that score the next item, their baselines, and weights on disk.

export {
  SequentialTransformer,
  type SequentialTransformerConfig,
  type SequentialTransformerOptions,
} from './sequential-transformer';
export { markov } from './markov';
export { popularity } from './popularity';
export type { Scorer } from './scorer';
export { loadWeights, saveWeights, type Weights } from './weights';
