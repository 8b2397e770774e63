// Finds LibTorch and remembers every place that was tried, so that a failure explains itself.

import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { raise } from '../errors';
import { configurationFile, type Environment, libtorchFolder, TORCH_MINOR } from './places';
import { pythonTorch } from './python';

export type Source = 'LIBTORCH' | 'saved configuration' | 'Python torch' | 'cache' | 'system';

/** One place of the search: what was looked at, and why it was refused (`problem` is null for the place that was taken). */
export interface Attempt {
  readonly source: Source;
  readonly path: string | null;
  readonly version: string | null;
  readonly problem: string | null;
  /** Another minor version: the place is fine, the release is not. */
  readonly wrongVersion: boolean;
}

/** A LibTorch to use: `root` holds `lib/` and, where the core can be built, `include/`. */
export interface Libtorch {
  readonly root: string;
  readonly version: string;
  readonly source: Source;
}

export interface Search {
  readonly found: Libtorch | null;
  readonly trace: readonly Attempt[];
}

const SYSTEM_ROOTS = ['/opt/libtorch', '/usr/local/libtorch', '/usr/local', '/usr'];

/** The version of the LibTorch under `root`, read from its files (`version.py`, `build-version` or `version.h`), or null. */
export function versionOf(root: string): string | null {
  const read = (path: string, pattern: RegExp): string | null => {
    try {
      return pattern.exec(readFileSync(join(root, path), 'utf8'))?.[1] ?? null;
    } catch {
      return null;
    }
  };
  const header = (part: string): string | null =>
    read('include/torch/headeronly/version.h', new RegExp(`define TORCH_VERSION_${part} (\\d+)`));
  return (
    read('version.py', /^__version__ = '([^']+)'/m) ??
    read('build-version', /^(\S+)/) ??
    (header('MAJOR') === null ? null : `${header('MAJOR')}.${header('MINOR')}.${header('PATCH')}`)
  );
}

/** `path` itself, or the folder that a reader would have meant: a site-packages folder, or LibTorch's own `lib`. */
function rootOf(path: string): string | null {
  const candidates = [path, join(path, 'torch'), join(path, 'libtorch'), resolve(path, '..')];
  return candidates.find((root) => existsSync(join(root, 'lib', 'libtorch_cpu.so'))) ?? null;
}

function look(source: Source, path: string, env: Environment): Attempt {
  const refused = (problem: string, version: string | null = null, wrongVersion = false): Attempt => ({
    source,
    path,
    version,
    problem,
    wrongVersion,
  });
  if (!existsSync(path)) return refused('does not exist');
  const root = rootOf(path);
  if (root === null) return refused('has no lib/libtorch_cpu.so');
  if (!existsSync(join(root, 'lib', 'libc10.so'))) return refused('has no lib/libc10.so');
  const version = versionOf(root);
  if (env.PHANTOMGRAD_SKIP_VERSION_CHECK !== '1') {
    if (version === null)
      return refused('has neither version.py nor build-version: its version cannot be checked', null, true);
    if (!version.startsWith(`${TORCH_MINOR}.`))
      return refused(`is version ${version}, needed is ${TORCH_MINOR}`, version, true);
  }
  return { source, path: root, version, problem: null, wrongVersion: false };
}

function absent(source: Source, problem: string): Attempt {
  return { source, path: null, version: null, problem, wrongVersion: false };
}

function savedConfiguration(env: Environment): Attempt {
  const file = configurationFile(env);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return absent('saved configuration', `${file} does not exist`);
  }
  try {
    const { libtorch } = JSON.parse(text) as { libtorch?: unknown };
    if (typeof libtorch === 'string') return look('saved configuration', libtorch, env);
  } catch {
    // Told below in the same words as a file without the entry.
  }
  return absent('saved configuration', `${file} is not JSON with a "libtorch" folder`);
}

// Without the stamp a set-up was interrupted while it unpacked.
function cached(folder: string, env: Environment): Attempt {
  return existsSync(folder) && !existsSync(join(folder, '.done'))
    ? { ...absent('cache', 'is incomplete: a set-up was interrupted'), path: folder }
    : look('cache', folder, env);
}

function* places(env: Environment, systemRoots: readonly string[]): Generator<Attempt> {
  yield env.LIBTORCH ? look('LIBTORCH', resolve(env.LIBTORCH), env) : absent('LIBTORCH', 'not set');
  yield savedConfiguration(env);
  for (const { python, folder, problem } of pythonTorch(env)) {
    yield folder === null ? absent('Python torch', `${python}: ${problem}`) : look('Python torch', folder, env);
  }
  // The one with CUDA does everything that the other does; where nobody asked for it, it is not worth a line.
  const withCuda = libtorchFolder(env, 'cuda');
  if (existsSync(withCuda)) yield cached(withCuda, env);
  yield cached(libtorchFolder(env), env);
  for (const root of systemRoots) yield look('system', root, env);
}

/**
 * Looks for LibTorch in this order: `LIBTORCH`, the saved configuration, a Python `torch` (without importing it), our
 * cache, system folders. The first usable one wins. A `LIBTORCH` that is set but unusable ends the search: falling back
 * to another LibTorch would hide the mistake.
 */
export function searchLibtorch(env: Environment = process.env, systemRoots: readonly string[] = SYSTEM_ROOTS): Search {
  const trace: Attempt[] = [];
  for (const attempt of places(env, systemRoots)) {
    trace.push(attempt);
    if (attempt.problem === null && attempt.path !== null) {
      return { found: { root: attempt.path, version: attempt.version ?? 'unknown', source: attempt.source }, trace };
    }
    if (attempt.source === 'LIBTORCH' && attempt.path !== null) break;
  }
  return { found: null, trace };
}

/** The trace as lines of a table: source, place, what was wrong with it. */
export function describeTrace(trace: readonly Attempt[]): string {
  return trace
    .map(({ source, path, problem, version }) => {
      const verdict = problem ?? `taken, version ${version ?? 'unknown'}`;
      return `  ${source.padEnd(20)} ${path === null ? verdict : `${path}: ${verdict}`}`;
    })
    .join('\n');
}

/**
 * The LibTorch to use.
 *
 * @throws ERR_LIBTORCH_VERSION `LIBTORCH` names another minor version.
 * @throws ERR_LIBTORCH_NOT_FOUND no place has a usable one. Both messages list every place that was tried.
 */
export function findLibtorch(env: Environment = process.env, systemRoots: readonly string[] = SYSTEM_ROOTS): Libtorch {
  const { found, trace } = searchLibtorch(env, systemRoots);
  if (found !== null) return found;
  const wrongVersion = trace.at(-1)?.source === 'LIBTORCH' && trace.at(-1)?.wrongVersion === true;
  return raise(
    wrongVersion ? 'ERR_LIBTORCH_VERSION' : 'ERR_LIBTORCH_NOT_FOUND',
    `No usable LibTorch ${TORCH_MINOR} was found. Places tried, in this order:\n${describeTrace(trace)}\n` +
      'Run `npx phantomgrad setup` (downloads about 545 MB), or set LIBTORCH to a folder that holds ' +
      `lib/libtorch_cpu.so of version ${TORCH_MINOR}` +
      (wrongVersion ? ', or set PHANTOMGRAD_SKIP_VERSION_CHECK=1 to try this one anyway.' : '.'),
  );
}
