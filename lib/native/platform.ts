// Says on which machines the native parts run, in words that help on the others.

import { raise } from '../errors';

export interface Machine {
  readonly platform: string;
  readonly arch: string;
  /** Version of the GNU C library, or null where there is none (musl, macOS, Windows). */
  readonly glibc: string | null;
}

/** The machine that this process runs on. */
export function thisMachine(): Machine {
  const { platform, arch } = process;
  if (platform !== 'linux') return { platform, arch, glibc: null };
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  // Network names are looked up for the report otherwise, which can take seconds.
  report.excludeNetwork = true;
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return { platform, arch, glibc: header?.glibcVersionRuntime ?? null };
}

/** Whether the package brings native files for `machine`. */
export function hasPrebuilt(machine: Machine): boolean {
  return machine.platform === 'linux' && machine.arch === 'x64' && machine.glibc !== null;
}

/** `linux-x64 (glibc 2.36)`, `darwin-arm64`. */
export function machineName({ platform, arch, glibc }: Machine): string {
  const libc = platform !== 'linux' ? '' : glibc === null ? ' (no glibc)' : ` (glibc ${glibc})`;
  return `${platform}-${arch}${libc}`;
}

/** Refuses a machine for which there are no native files. @throws ERR_PLATFORM */
export function refusePlatform(machine: Machine): never {
  return raise(
    'ERR_PLATFORM',
    `The native parts of phantomgrad are built for linux-x64 with glibc; this is ${machineName(machine)}. ` +
      'What needs no tensors works here (privacy accounting: `phantomgrad privacy …`). To train, use Linux on x86-64, ' +
      'or build from source: set LIBTORCH and run `npm run build:native` in a checkout.',
  );
}

/** Refuses a C library that is older than the prebuilt files need. @throws ERR_PLATFORM */
export function checkGlibc(machine: Machine, floor: string): void {
  if (machine.glibc !== null && !olderThan(machine.glibc, floor)) return;
  raise(
    'ERR_PLATFORM',
    `The prebuilt files of phantomgrad need glibc ${floor} or newer; this is ${machineName(machine)}. ` +
      'Use a newer distribution, or build from source: set LIBTORCH and run `npm run build:native` in a checkout.',
  );
}

function olderThan(version: string, floor: string): boolean {
  const parts = (text: string): number[] => text.split('.').map(Number);
  const [major = 0, minor = 0] = parts(version);
  const [floorMajor = 0, floorMinor = 0] = parts(floor);
  return major < floorMajor || (major === floorMajor && minor < floorMinor);
}
