// Finding LibTorch, loading the core, saying what is missing.

export { cudaProblem, native, nativeFiles, openNative, type NativeFiles, type OpenedNative } from './addon';
export { type CudaLibraries, cudaLibraries } from './cuda';
export { cacheFolder, configurationFile, libtorchFolder, PACKAGE_ROOT, TORCH_MINOR, TORCH_VERSION } from './places';
export { machineName, thisMachine, type Machine } from './platform';
export { describeTrace, findLibtorch, searchLibtorch, type Attempt, type Libtorch, type Search } from './search';
