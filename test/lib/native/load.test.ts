// Opening LibTorch and the core in one process: once, twice, in Workers, and beside another copy.

import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { findLibtorch, nativeFiles } from '../../../lib/native';
import { fakeLibtorch, temporaryFolder } from './places';

const built = dirname(nativeFiles().loader);
const { root: LIBTORCH } = findLibtorch();

function child(script: string, args: readonly string[], env: Record<string, string> = {}): string {
  const { stdout, stderr, status, signal } = spawnSync(
    process.execPath,
    [join(__dirname, 'fixtures', script), ...args],
    {
      encoding: 'utf8',
      env: { ...process.env, LIBTORCH, ...env },
    },
  );
  if (status !== 0) throw new Error(`${script} ended with ${signal ?? status}: ${stderr}`);
  return stdout.trim().replaceAll('\n', ' ');
}

function copyOfBuild(): string {
  const folder = temporaryFolder();
  cpSync(built, folder, { recursive: true });
  return folder;
}

test('the same files may be loaded again', () => {
  expect(child('load-child.cjs', [built, built])).toBe('loaded loaded');
});

test('an identical copy in another folder shares the open core', () => {
  expect(child('load-child.cjs', [built, copyOfBuild()])).toBe('loaded loaded');
});

test('another build is refused with a code instead of ending the process', () => {
  const other = copyOfBuild();
  appendFileSync(join(other, 'libphantomgrad-2.11.so'), 'another build');
  expect(child('load-child.cjs', [built, other])).toBe('loaded ERR_ALREADY_LOADED');
});

test('a file that is no library is refused with a code', () => {
  const root = fakeLibtorch(temporaryFolder());
  expect(child('load-child.cjs', [built], { LIBTORCH: root })).toBe('ERR_NATIVE_LOAD');
});

test('the core loads in Workers, and the process ends by itself afterwards', () => {
  expect(child('worker-child.cjs', [built])).toBe('loaded loaded');
});

test('the core loads with deferred finalizers too', () => {
  expect(child('load-child.cjs', [built], { PHANTOMGRAD_FINALIZERS: 'deferred' })).toBe('loaded');
});
