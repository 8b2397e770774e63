// Everything that `phantomgrad` offers.

// Private training, from data to a model that recommends.
export * as data from './data';
export * as models from './models';
export * as nn from './nn';
export * as optim from './optim';
export * as privacy from './privacy';

// Whole jobs, and the metric that they report.
export {
  type Accuracy,
  type AccuracyEvent,
  auditRecommender,
  type ClassifierOptions,
  evaluate,
  evaluateFineTuned,
  fineTune,
  type FineTuneCommonOptions,
  type FineTuneControl,
  type FineTuneMetrics,
  type FineTuneOptions,
  type FineTuneReport,
  type FineTuneRow,
  type FineTuneTask,
  type ImageOptions,
  type LanguageModelOptions,
  type MemoryCosts,
  type MemoryPlan,
  type MemoryPlanOptions,
  metrics,
  planMemory,
  type RankingOptions,
  type RankingResult,
  type Recommendation,
  Recommender,
  type RecommenderOptions,
  type RecommenderReport,
  type RecommenderRow,
  type RunAuditOptions,
  type RunConfig,
  type RunControl,
  type RunEvent,
  type StepEvent,
  type TableToTextOptions,
  type Ties,
  trainRecommender,
  write,
  type WriteOptions,
  writeReport,
  type Written,
} from './tasks';

// Kernels for loops that are composed by hand.
export * as kernels from './kernels';

// Tensors, and every operator of LibTorch.
export {
  arange,
  beside,
  checkDevice,
  cudaDeviceCount,
  type Device,
  type DType,
  empty,
  enableGrad,
  fromShared,
  fromTypedArray,
  full,
  Generator,
  isGradEnabled,
  keep,
  manualSeed,
  memory,
  type MemoryInfo,
  type Nested,
  type NestedInput,
  noGrad,
  numThreads,
  ones,
  rand,
  randn,
  resetPeakMemory,
  scope,
  Scope,
  setNumThreads,
  Tensor,
  tensor,
  type TensorArray,
  type TensorOptions,
  tidy,
  tidyAsync,
  type ToOptions,
  torch,
  type TorchOps,
  zeros,
} from './tensor';

export { ERROR_CODES, type ErrorCode, PhantomgradError } from './errors';
export { VERSION } from './version';
