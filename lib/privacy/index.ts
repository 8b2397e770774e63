// Private training: the engine, its choices, and what it has spent.

export * as accounting from './accounting';
export {
  abadi,
  adaptive,
  type AdaptiveClip,
  type AdaptiveOptions,
  automatic,
  type Clip,
  type ClipOptions,
  global,
  type GroupAssignment,
  type Grouping,
  groups,
  type GroupSpec,
  normalize,
  type ParameterGroup,
  perLayer,
  psac,
} from './clip';
export {
  audit,
  type AuditedMechanism,
  type AuditedModel,
  type AuditOptions,
  type AuditReport,
  type AuditSubject,
  auditText,
  type Claim,
  epsilonLowerBound,
  type Finding,
  type Guesses,
  type MakeEngine,
} from './audit';
export {
  type Frequencies,
  frequencies,
  type PrivateHistogram,
  type PublicFrequencies,
  type UniformFrequencies,
} from './frequencies';
export {
  type Checkpoint,
  type CheckpointOptions,
  type CheckpointSummary,
  type Fingerprinted,
  hasCheckpoint,
  readCheckpoint,
} from './checkpoint';
export { Ledger, type LedgerRecord } from './ledger';
export type { Neighbours } from './accounting';
export { defaultDelta, type DpPlan, type PlanOptions } from './plan';
export { PlainEngine, type PlainEngineOptions } from './plain-engine';
export { PrivacyEngine, type PrivacyEngineOptions, type PrivacySpent } from './privacy-engine';
export {
  ballsAndBins,
  type DrawingSampler,
  type Draws,
  external,
  fixedSize,
  type MemorylessSampler,
  poisson,
  type RandomSource,
  type Sampler,
  shuffle,
  truncatedPoisson,
} from './sampling';
export type { Attached, AttachedSteps, GradientMode, Performance, StepInput, TrainableModel } from './attached';
export type { PackableData, Packing, PackingOptions, PhysicalBatch, Sampled } from './batch-stream';
export { checkIndependence, type IndependenceOptions, type LossModel } from './check-independence';
export { frequencySteps, type RowStepOptions, type RowSteps } from './row-steps';
export { type GradientScales, groupScales, type ScaleSpec } from './scales';
export { type ClippedSum, clippedSum, perSampleNorms, type PerSampleOptions } from './per-sample';
export type { Norms, SampleNorms } from './gradient-book';
export type { GroupStats, Spread, TrainingStats } from './training-stats';
export type { StepEngine } from './step-engine';
export { type SignalToNoise, signalToNoise } from './signal-to-noise';
export { type NoiseLevel, type StrictGrid } from './strict-noise';
export { type PrivacyStatement, privacyStatement, type StatementOptions } from './statement';
