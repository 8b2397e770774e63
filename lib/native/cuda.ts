// The CUDA side of LibTorch: which libraries are opened beside those of the CPU, and why not where they are not.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What stands between this process and a GPU; `libraries` is empty where nothing of it will be opened. */
export interface CudaLibraries {
  /** Version of the NVIDIA driver, null without one. */
  readonly driver: string | null;
  /** By absolute path, in the order in which they are opened. */
  readonly libraries: readonly string[];
  /** What is missing, and what to do; null when everything is there. */
  readonly problem: string | null;
  /** Our kernels for GPUs; null where they are not installed: LibTorch's operators then do their work. */
  readonly plugin: string | null;
}

/** In `lib/` of a LibTorch, in the order in which they are opened. */
export const CUDA_LIBRARIES = ['libc10_cuda.so', 'libtorch_cuda.so'] as const;
const PLUGIN = 'libphantomgrad_cuda.so';

/** Where the driver shows itself: Linux, and Linux inside Windows. */
export const DRIVER_SIGNS = { version: '/proc/driver/nvidia/version', wsl: '/dev/dxg' } as const;

function driverVersion({ version, wsl }: Readonly<Record<keyof typeof DRIVER_SIGNS, string>>): string | null {
  try {
    const text = readFileSync(version, 'utf8');
    return /Module(?: for \S+)?\s+(\d[\d.]*)/.exec(text)?.[1] ?? 'unknown';
  } catch {
    return existsSync(wsl) ? 'unknown' : null;
  }
}

/** Whether the LibTorch under `root` can open GPUs, a driver provided. */
export function hasCudaLibraries(root: string): boolean {
  return CUDA_LIBRARIES.every((name) => existsSync(join(root, 'lib', name)));
}

/**
 * Looks for a driver and for LibTorch's CUDA libraries. Opens nothing.
 *
 * @param root  Of LibTorch.
 * @param core  Path of our core, beside which the plugin lies.
 */
export function cudaLibraries(
  root: string,
  core: string,
  signs: Readonly<Record<keyof typeof DRIVER_SIGNS, string>> = DRIVER_SIGNS,
): CudaLibraries {
  const driver = driverVersion(signs);
  const paths = CUDA_LIBRARIES.map((name) => join(root, 'lib', name));
  const beside = join(dirname(core), PLUGIN);
  const plugin = existsSync(beside) ? beside : null;
  const missing = paths.filter((path) => !existsSync(path));
  const problem =
    driver === null
      ? 'this machine shows no NVIDIA driver (/proc/driver/nvidia/version).'
      : missing.length > 0
        ? `LibTorch has no CUDA libraries (${missing.join(', ')}). Run: phantomgrad setup --cuda`
        : null;
  const libraries = problem === null ? [...paths, ...(plugin === null ? [] : [plugin])] : [];
  return { driver, libraries, problem, plugin };
}
