// Tensors, the functions that make them, the scopes that free them, and every operator of LibTorch.

export { Tensor, type ToOptions } from './tensor';
export type { DType, TensorArray } from './dtype';
export type { Nested, NestedInput } from './nested';

export {
  arange,
  beside,
  empty,
  fromShared,
  fromTypedArray,
  full,
  ones,
  rand,
  randn,
  tensor,
  type TensorOptions,
  zeros,
} from './factories';
export { Generator, manualSeed } from './random';
export { checkDevice, cudaDeviceCount, type Device } from './device';

export { keep, scope, Scope, tidy, tidyAsync } from './scope';
export {
  enableGrad,
  isGradEnabled,
  memory,
  type MemoryInfo,
  noGrad,
  numThreads,
  resetPeakMemory,
  setNumThreads,
} from './modes';

export { torch } from './torch';
export { operator } from './call';
export type { TorchOps } from './ops';
export { decodeTensors, encodeTensors, type Weights } from './stored';
