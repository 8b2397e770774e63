// What privacy costs: events in, epsilon and delta out; pure TypeScript without native code.

export { type Accountant } from './accountant';
export { type CalibratedNoise, affordableSteps, calibrateNoise, type NoiseTarget, type StepsTarget } from './calibrate';
export {
  checkEvent,
  type DpEvent,
  gaussian,
  type GaussianEvent,
  mergeEvents,
  poissonGaussian,
  type PoissonGaussianEvent,
  sameMechanism,
  withCount,
} from './events';
export { exact } from './exact';
export { pld } from './pld';
export { rdp, type RdpOptions, renyiDivergence } from './rdp';
