// Models that score the next item, their baselines, models of the Hugging Face families, and weights on disk.

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
export { CharTransformer, type CharTransformerConfig, type CharTransformerOptions } from './char-transformer';
export { drawText, type DrawOptions, type NextScorer } from './draw-text';
export { markov } from './markov';
export { popularity } from './popularity';
export type { Scorer } from './scorer';
export { loadWeights, saveWeights, type Weights } from './weights';

export {
  fromConfig,
  type FromConfigOptions,
  fromPretrained,
  type FromPretrainedOptions,
} from './pretrained/from-pretrained';
export type { TaskModels, TaskName } from './pretrained/registry';
export { PretrainedModel, type SaveOptions } from './pretrained/model';
export type { SaveAdapterOptions } from './pretrained/adapter';
export { type PrefixOptions, prefixTuning } from './pretrained/prefix-tuning';
export type { Prefix } from './pretrained/prefix';
export type { CardStatement, ModelCard } from './pretrained/model-card';
export type { ResizeOptions } from './pretrained/resize';
export { CausalLM, type LogitsOptions, type TokenLossOptions } from './pretrained/causal-lm';
export { ConditionalGeneration } from './pretrained/conditional-generation';
export { DoubleHeads, type DoubleHeadsLossOptions } from './pretrained/double-heads';
export { FeatureExtractor } from './pretrained/feature-extractor';
export { ImageClassifier } from './pretrained/image-classifier';
export { MaskedLM } from './pretrained/masked-lm';
export { type ProblemType, SequenceClassifier } from './pretrained/sequence-classifier';
export { hubCache, modelFolder } from './pretrained/hub';
export { generate } from './generation/generate';
export type { GenerateOptions } from './generation/options';
