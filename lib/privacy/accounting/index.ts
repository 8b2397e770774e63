// What privacy costs: events in, epsilon and delta out; pure TypeScript without native code.

export { type Accountant } from './accountant';
export { affordableSteps, type StepsTarget } from './affordableSteps';
export { type CalibratedNoise, calibrateNoise, type NoiseTarget } from './calibrate';
export { type BatchSizeTarget, calibrateBatchSize, type CalibratedBatchSize } from './calibrateBatchSize';
export {
  type BallsAndBinsEvent,
  ballsAndBinsGaussian,
  checkEvent,
  type DpEvent,
  type FixedSizeEvent,
  fixedSizeGaussian,
  gaussian,
  type GaussianEvent,
  mergeEvents,
  type Neighbours,
  neighboursOf,
  poissonGaussian,
  type PoissonGaussianEvent,
  sameMechanism,
  type ShuffledEvent,
  shuffledGaussian,
  type TruncatedPoissonEvent,
  truncatedPoissonGaussian,
  withCount,
} from './events';
export { exact } from './exact';
export { pld, type PldOptions } from './pld';
export { type Bounds, prv, type PrvAccountant } from './prv';
export { rdp, type RdpOptions, renyiDivergence } from './rdp';
