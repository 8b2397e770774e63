// Folders that look like LibTorch, and an environment in which the search finds nothing but what a test puts there.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A fresh folder that is removed after the test file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'phantomgrad-'));
  folders.push(folder);
  return folder;
}

/** Writes a folder that looks like LibTorch `version`, and returns it. */
export function fakeLibtorch(root: string, version = '2.11.0+cu130'): string {
  mkdirSync(join(root, 'lib'), { recursive: true });
  for (const name of ['libc10.so', 'libtorch_cpu.so']) writeFileSync(join(root, 'lib', name), '');
  writeFileSync(join(root, 'version.py'), `from typing import Optional\n__version__ = '${version}'\n`);
  return root;
}

/** No LibTorch, no Python, an empty home. */
export function emptyEnvironment(home: string): Record<string, string | undefined> {
  return { PATH: process.env.PATH, HOME: home, PHANTOMGRAD_PYTHON: join(home, 'no-python') };
}
