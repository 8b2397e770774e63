// The CUDA side of LibTorch: which libraries are opened beside those of the CPU, and why not where they are not.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { digestBelow, PLUGIN_SOURCES } from './digest.cjs';
import { PACKAGE_ROOT } from './places';

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
  /** That the kernels were built from other sources than lie here now, and what builds them again; null where nothing says so. */
  readonly stale: string | null;
}

/** In `lib/` of a LibTorch, in the order in which they are opened. */
export const CUDA_LIBRARIES = ['libc10_cuda.so', 'libtorch_cuda.so'] as const;
const PLUGIN = 'libphantomgrad_cuda.so';

/** Where the driver shows itself: Linux, a sandbox that hands on the device and not its part of /proc, Linux inside Windows. */
export const DRIVER_SIGNS = { version: '/proc/driver/nvidia/version', control: '/dev/nvidiactl', wsl: '/dev/dxg' };
type Signs = Readonly<Record<keyof typeof DRIVER_SIGNS, string>>;

// Where the plugin was built here, the build has left a digest of its sources.
function staleness(plugin: string | null, root: string): string | null {
  if (plugin === null) return null;
  try {
    const { digest } = JSON.parse(readFileSync(join(root, '.setup', 'cuda.json'), 'utf8')) as { digest: string };
    if (digest === digestBelow(root, PLUGIN_SOURCES)) return null;
  } catch {
    return null;
  }
  return `${plugin} was built from other sources than csrc/cuda holds now. Build it again: npm run build -- --cuda`;
}

function driverVersion({ version, control, wsl }: Signs): string | null {
  try {
    const text = readFileSync(version, 'utf8');
    return /Module(?: for \S+)?\s+(\d[\d.]*)/.exec(text)?.[1] ?? 'unknown';
  } catch {
    return existsSync(control) || existsSync(wsl) ? 'unknown' : null;
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
  signs: Signs = DRIVER_SIGNS,
  packageRoot = PACKAGE_ROOT,
): CudaLibraries {
  const driver = driverVersion(signs);
  const paths = CUDA_LIBRARIES.map((name) => join(root, 'lib', name));
  const beside = join(dirname(core), PLUGIN);
  const plugin = existsSync(beside) ? beside : null;
  const missing = paths.filter((path) => !existsSync(path));
  const problem =
    driver === null
      ? `this machine shows no NVIDIA driver (${signs.version}, ${signs.control}).`
      : missing.length > 0
        ? `LibTorch has no CUDA libraries (${missing.join(', ')}). Run: phantomgrad setup --cuda`
        : null;
  const libraries = problem === null ? [...paths, ...(plugin === null ? [] : [plugin])] : [];
  return { driver, libraries, problem, plugin, stale: staleness(plugin, packageRoot) };
}
