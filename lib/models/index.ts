// Models that score the next item, their baselines, and weights on disk.

export {
  SequentialTransformer,
  type SequentialTransformerConfig,
  type SequentialTransformerOptions,
} from './sequential-transformer';
export {
  SequentialRecurrent,
  type SequentialRecurrentConfig,
  type SequentialRecurrentOptions,
} from './sequential-recurrent';
export { SequentialModel, type SequentialModelConfig } from './sequential-model';
export { markov } from './markov';
export { popularity } from './popularity';
export type { Scorer } from './scorer';
export { loadWeights, saveWeights, type Weights } from './weights';
