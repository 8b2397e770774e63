// Opens LibTorch and the core: resolves our native files, checks that they fit this machine, maps errors.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import nodeGypBuild from 'node-gyp-build';

import { ERROR_CODES, type ErrorCode, PhantomgradError, raise } from '../errors';
import { type CudaLibraries, cudaLibraries } from './cuda';
import { type Environment, PACKAGE_ROOT, TORCH_MINOR } from './places';
import { checkGlibc, hasPrebuilt, type Machine, refusePlatform, thisMachine } from './platform';
import { findLibtorch, type Libtorch } from './search';

interface Loader {
  load(libraries: readonly string[], core: string): object;
}

/** Our two files, and the oldest C library that they run with (null: built on this machine). */
export interface NativeFiles {
  readonly loader: string;
  readonly core: string;
  readonly glibcFloor: string | null;
}

/**
 * The native files of this package: `build/Release` of a checkout, else `prebuilds/`.
 *
 * @throws ERR_PLATFORM there are none for this platform, or the C library is too old for them.
 * @throws ERR_NATIVE_MISSING there should be, but they have not been built.
 */
export function nativeFiles(root = PACKAGE_ROOT, machine: Machine = thisMachine()): NativeFiles {
  let loader: string;
  try {
    loader = nodeGypBuild.resolve(root);
  } catch {
    if (!hasPrebuilt(machine)) return refusePlatform(machine);
    return raise('ERR_NATIVE_MISSING', `${root} holds no native files. In a checkout, run: npm run build:native`);
  }
  const core = join(dirname(loader), `libphantomgrad-${TORCH_MINOR}.so`);
  if (!existsSync(core)) {
    raise('ERR_NATIVE_MISSING', `${core} is missing beside the loader. In a checkout, run: npm run build:native`);
  }
  const glibcFloor = floorOf(dirname(loader));
  if (glibcFloor !== null) checkGlibc(machine, glibcFloor);
  return { loader, core, glibcFloor };
}

// Written by scripts/prebuild.mjs beside the files that it made.
function floorOf(folder: string): string | null {
  try {
    return (JSON.parse(readFileSync(join(folder, 'requires.json'), 'utf8')) as { glibc: string }).glibc;
  } catch {
    return null;
  }
}

// libtorch.so itself stays closed: it pulls in libtorch_cuda.so, which a CPU installation does not have.
function librariesOf({ root }: Libtorch): string[] {
  return ['libc10.so', 'libtorch_cpu.so'].map((name) => join(root, 'lib', name));
}

/** What was opened. */
export interface OpenedNative {
  readonly exports: object;
  readonly files: NativeFiles;
  readonly libtorch: Libtorch;
  /** The CUDA side: where it is not open, `problem` says why. */
  readonly cuda: CudaLibraries;
}

/**
 * Opens LibTorch and the core in this process. Opening twice gives the same libraries. The CUDA libraries come along where there
 * are a driver and these libraries; should they not open, everything but `cuda` tensors works.
 */
export function openNative(env: Environment = process.env): OpenedNative {
  const files = nativeFiles();
  const libtorch = findLibtorch(env);
  const cuda = cudaLibraries(libtorch.root, files.core);
  // Once a process, on the standard error: they may compute something else than this version says.
  if (cuda.stale !== null && cuda.libraries.length > 0) process.emitWarning(cuda.stale, 'StalePlugin');
  try {
    const loader = createRequire(__filename)(files.loader) as Loader;
    const load = (more: readonly string[]): object => loader.load([...librariesOf(libtorch), ...more], files.core);
    if (cuda.libraries.length === 0) return { exports: load([]), files, libtorch, cuda };
    try {
      return { exports: load(cuda.libraries), files, libtorch, cuda };
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_NATIVE_LOAD') throw error;
      const problem = (error as Error).message;
      return { exports: load([]), files, libtorch, cuda: { ...cuda, libraries: [], problem } };
    }
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    throw new PhantomgradError(
      code !== undefined && code in ERROR_CODES ? (code as ErrorCode) : 'ERR_NATIVE_LOAD',
      `${message} (LibTorch ${libtorch.version} from ${libtorch.source}: ${libtorch.root})`,
      { cause: error },
    );
  }
}

let opened: OpenedNative | undefined;

/**
 * The core's exports. The first call opens LibTorch (about 0.4 s); until then nothing native is touched, so that the
 * parts that need no tensors work everywhere.
 *
 * @throws ERR_PLATFORM, ERR_NATIVE_MISSING, ERR_LIBTORCH_NOT_FOUND, ERR_LIBTORCH_VERSION, ERR_NATIVE_LOAD, ERR_ALREADY_LOADED
 */
export function native(): object {
  opened ??= openNative();
  return opened.exports;
}

/** Why there are no `cuda` tensors in this process; null where LibTorch's CUDA libraries are open. Opens LibTorch. */
export function cudaProblem(): string | null {
  native();
  return (opened as OpenedNative).cuda.problem;
}
