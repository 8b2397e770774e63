// Runs the command as a process of its own, in a folder of its own: exit code, standard output and standard error as a user gets them.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const home = mkdtempSync(join(tmpdir(), 'phantomgrad-cli-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** `phantomgrad` with these arguments; `onError` sees standard error as it grows. */
export function phantomgrad(
  args: readonly string[],
  { env = {}, onError }: { env?: NodeJS.ProcessEnv; onError?: (child: ChildProcess, stderr: string) => void } = {},
): Promise<Ended> {
  const main = resolve(__dirname, '../../../lib/cli/main.ts');
  const register = resolve(__dirname, '../../fixtures/typescript.cjs');
  const child = spawn(process.execPath, ['--require', register, main, ...args], {
    cwd: home,
    env: { ...process.env, OMP_NUM_THREADS: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onError?.(child, stderr);
  });
  return new Promise((done, reject) => {
    child.once('error', reject);
    child.once('close', (code) => done({ code, stdout, stderr }));
  });
}

/** The object on the last line of standard output. */
export function lastJson({ stdout }: Ended): Record<string, unknown> {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
}
