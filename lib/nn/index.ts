// Layers, losses, and the segments that tell samples apart.

export { Module } from './module';
export { Parameter, perSample } from './parameter';
export { type DeclaredUse, declareUse } from './declare-use';
export { Initializer, type LayerOptions, type ParameterType, seedLayers } from './initializer';

export { Linear, type LinearOptions } from './linear';
export { Conv1D } from './conv1d-linear';
export { Embedding, type EmbeddingOptions } from './embedding';
export { LayerNorm, type LayerNormOptions } from './layer-norm';
export { RMSNorm, type RMSNormOptions } from './rms-norm';
export { GroupNorm, type GroupNormOptions } from './group-norm';
export { affine, type AffineOptions } from './affine';
export { Dropout } from './dropout';
export { SelfAttention, type SelfAttentionOptions } from './attention';
export { attentionWeights } from './attention-weights';
export { TransformerBlock, type TransformerBlockOptions } from './transformer-block';
export { Conv1d, Conv2d, type ConvolutionOptions, type Extent } from './convolution';
export { GRU, type GRUOutput } from './gru';
export { LSTM, type LSTMOutput, type LSTMState } from './lstm';
export type { RecurrentOptions } from './recurrent';
export { type Layer, Sequential } from './sequential';
export { type Activation, gelu, relu } from './activations';

export {
  binaryCrossEntropy,
  crossEntropy,
  type CrossEntropyOptions,
  meanSquaredError,
  type SampleLossOptions,
} from './losses';
export {
  softmaxCrossEntropy,
  type SoftmaxCrossEntropyOptions,
  SoftmaxHead,
  type SoftmaxHeadOptions,
} from './softmax-head';
export {
  candidateScores,
  sampledBinaryCrossEntropy,
  sampledCrossEntropy,
  type SampledLossOptions,
} from './sampled-losses';

export { LoRALinear, type LoRAOptions } from './lora-linear';
export { biasesOnly, lora, type LoRAModelOptions } from './fine-tuning';

export { batchToken, currentSegments, type SegmentedBatch, Segments, withSegments } from './segments';
export type {
  AcceptsEffectiveError,
  AcceptsFrequencies,
  EffectiveError,
  ItemFrequencies,
  NoiseStep,
} from './effective-error';
export { addedNoise, effectiveVariance, type ErrorModel, type NoiseVariance } from './noise-variance';
export { type Correction, exactly, NO_NOISE, type Noisy, type WeightNoise } from './noisy';
export { ReAttention, type ReAttentionConfig, type ReAttentionOptions, resolveReAttention } from './re-attention';
