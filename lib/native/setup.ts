// Puts LibTorch into our cache: download, check, unpack, stamp. Safe to interrupt and to run twice at once.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { raise } from '../errors';
import { fetchWheel } from './download';
import { withLock } from './lock.cjs';
import { cacheFolder, type Environment, libtorchFolder } from './places';
import { hasPrebuilt, refusePlatform, thisMachine } from './platform';
import { progressLine } from './progress';
import { pythons } from './python';
import { type Libtorch, searchLibtorch } from './search';
import { unpack } from './unpack';
import { CUDA_LIBRARIES, hasCudaLibraries } from './cuda';
import { CUDA_PEAK_BYTES, CUDA_WHEELS } from './cuda-wheels';
import { CPU_WHEELS, PEAK_BYTES, type Wheel } from './wheels';

export interface SetupOptions {
  readonly env?: Environment;
  /** One line a step, for people. Default: standard error. */
  readonly log?: (line: string) => void;
  /** Whether LibTorch's CUDA libraries are wanted, too. Default false. */
  readonly cuda?: boolean;
  /** For tests: other files than the pinned ones. */
  readonly wheels?: readonly Wheel[];
}

// From 20.3 on pip takes several --platform.
const OLDEST_PIP = [20, 3];

function pythonWithPip(env: Environment): string {
  const refused: string[] = [];
  for (const python of pythons(env)) {
    const { status, stdout } = spawnSync(python, ['-m', 'pip', '--version'], { env, encoding: 'utf8' });
    const version = /^pip (\d+)\.(\d+)/
      .exec(stdout ?? '')
      ?.slice(1)
      .map(Number);
    if (status !== 0 || version === undefined) refused.push(`${python} has no pip`);
    else if (version[0]! * 1000 + version[1]! < OLDEST_PIP[0]! * 1000 + OLDEST_PIP[1]!) {
      refused.push(`${python} has pip ${version.join('.')}, older than ${OLDEST_PIP.join('.')}`);
    } else return python;
  }
  return raise(
    'ERR_DOWNLOAD',
    `LibTorch is downloaded with pip, but ${refused.join(', ')}. ` +
      'Install Python 3 with pip (Debian: apt install python3-pip), name an interpreter in PHANTOMGRAD_PYTHON, ' +
      'or set LIBTORCH to a LibTorch that you have.',
  );
}

function checkSpace(folder: string, peak: number): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize >= peak) return;
  raise(
    'ERR_DOWNLOAD',
    `${folder} has ${Math.floor((bavail * bsize) / 1e6)} MB free, LibTorch needs ${peak / 1e6} MB while it is ` +
      'unpacked (about half of that afterwards). Make room, or name another folder in PHANTOMGRAD_CACHE.',
  );
}

/**
 * Downloads LibTorch into the cache unless it is there, and returns its root.
 *
 * An interrupted run continues: wheels that are complete are kept, a half-unpacked folder is made again. Two runs at
 * once wait for each other. The wheels are deleted at the end.
 *
 * @throws ERR_PLATFORM the wheels are for linux-x64.  @throws ERR_DOWNLOAD with what to do.
 */
export async function downloadLibtorch(options: SetupOptions = {}): Promise<string> {
  const { env = process.env, cuda = false, log = (line) => void process.stderr.write(`${line}\n`) } = options;
  const { wheels = cuda ? CUDA_WHEELS : CPU_WHEELS } = options;
  const folder = libtorchFolder(env, cuda ? 'cuda' : 'cpu');
  const isDone = (): boolean => existsSync(join(folder, '.done'));
  if (isDone()) return join(folder, 'torch');
  if (!hasPrebuilt(thisMachine())) refusePlatform(thisMachine());
  const cache = cacheFolder(env);
  mkdirSync(cache, { recursive: true });
  const onWait = (pid: number): void => {
    log(`Another set-up (process ${pid}) is filling ${cache}; waiting for it.`);
  };
  await withLock(`${folder}.lock`, () => (isDone() ? undefined : fill(folder, wheels, cuda, env, log)), { onWait });
  return join(folder, 'torch');
}

async function fill(
  folder: string,
  wheels: readonly Wheel[],
  cuda: boolean,
  env: Environment,
  log: (line: string) => void,
): Promise<void> {
  const python = pythonWithPip(env);
  const store = `${folder}.wheels`;
  const part = `${folder}.part`;
  rmSync(part, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(store, { recursive: true });
  mkdirSync(part, { recursive: true });
  checkSpace(part, cuda ? CUDA_PEAK_BYTES : PEAK_BYTES);
  for (const wheel of wheels) {
    const progress = progressLine(`Downloading ${wheel.requirement}`, wheel.bytes);
    try {
      const path = await fetchWheel(wheel, store, python, env, progress);
      progress.end();
      log(`Unpacking ${wheel.requirement}`);
      await unpack(python, path, part, wheel.keep);
    } finally {
      progress.end();
    }
  }
  for (const name of ['libc10.so', 'libtorch_cpu.so', ...(cuda ? CUDA_LIBRARIES : [])]) {
    if (!existsSync(join(part, 'torch', 'lib', name))) {
      raise(
        'ERR_DOWNLOAD',
        `The torch wheel did not hold torch/lib/${name}. Delete ${store} and run the set-up again.`,
      );
    }
  }
  writeFileSync(join(part, '.done'), `${wheels.map((wheel) => `${wheel.file} ${wheel.sha256}`).join('\n')}\n`);
  renameSync(part, folder);
  rmSync(store, { recursive: true, force: true });
}

/**
 * A LibTorch to use: the one that the search finds, else the one that is then downloaded.
 * A `LIBTORCH` that is set but unusable is an error, as in the search.
 */
export async function ensureLibtorch(options: SetupOptions = {}): Promise<Libtorch> {
  const { env = process.env } = options;
  const { found, trace } = searchLibtorch(env);
  if (found !== null && (options.cuda !== true || hasCudaLibraries(found.root))) return found;
  const named = trace.find(({ source, path }) => source === 'LIBTORCH' && path !== null);
  if (named !== undefined) {
    raise(
      named.wrongVersion ? 'ERR_LIBTORCH_VERSION' : 'ERR_LIBTORCH_NOT_FOUND',
      `LIBTORCH=${String(named.path)}: ${String(named.problem)}. Correct it, or unset it to let the set-up download one.`,
    );
  }
  const root = await downloadLibtorch(options);
  const after = searchLibtorch(env).found;
  if (after !== null && options.cuda === true && !hasCudaLibraries(after.root)) {
    raise(
      'ERR_LIBTORCH_NOT_FOUND',
      `CUDA libraries are in ${root} now, but the search takes ${after.root} (${after.source}), which has none. ` +
        `Choose them: phantomgrad setup --libtorch ${root}`,
    );
  }
  return (
    after ?? raise('ERR_DOWNLOAD', `${root} was downloaded but is not usable. Delete it and run the set-up again.`)
  );
}
