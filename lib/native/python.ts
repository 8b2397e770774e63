// Asks the Python installations at hand where their `torch` is, without importing it (that takes seconds).

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

import type { Environment } from './places';

export interface PythonTorch {
  readonly python: string;
  /** The `torch` package's folder, or null with the reason in `problem`. */
  readonly folder: string | null;
  readonly problem: string | null;
}

const QUESTION = "import importlib.util as u; s = u.find_spec('torch'); print(s.origin if s and s.origin else '')";

/** The interpreters to ask: `PHANTOMGRAD_PYTHON` alone when it is set, else the active virtual environment and `python3`. */
export function pythons(env: Environment): string[] {
  if (env.PHANTOMGRAD_PYTHON) return [env.PHANTOMGRAD_PYTHON];
  const virtual = env.VIRTUAL_ENV ? join(env.VIRTUAL_ENV, 'bin', 'python') : null;
  return [...(virtual !== null && existsSync(virtual) ? [virtual] : []), 'python3'];
}

/** Where each interpreter keeps `torch`. Lazy: an interpreter is only started when the ones before it had none. */
export function* pythonTorch(env: Environment): Generator<PythonTorch> {
  for (const python of pythons(env)) {
    // From the root folder: the working folder is on Python's search path and may hold something called torch.
    const { error, status, stdout } = spawnSync(python, ['-c', QUESTION], {
      cwd: '/',
      encoding: 'utf8',
      env: env,
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 20_000,
    });
    const origin = error || status !== 0 ? '' : stdout.trim();
    if (origin !== '') yield { python, folder: dirname(origin), problem: null };
    else yield { python, folder: null, problem: error || status !== 0 ? 'does not run' : 'has no torch' };
  }
}
