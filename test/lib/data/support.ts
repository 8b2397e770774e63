// Temporary files for reader tests, and the shared folder of real data where it exists.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { PhantomgradError } from '../../../lib/errors';

const folder = mkdtempSync(join(tmpdir(), 'phantomgrad-data-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a file into a folder that disappears after the test file. */
export function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

export function temporaryFolder(): string {
  return folder;
}

const SHARED = resolve(__dirname, '../../../../shared/data');
let asked = 0;
let present = 0;
afterAll(() => {
  if (asked > 0) console.warn(`Cases on real data: ${present} of ${asked} ran (${SHARED}).`);
});

/** Path of a file of the shared data folder, or undefined with a loud line when it is not there. */
export function shared(name: string): string | undefined {
  const path = join(SHARED, name);
  asked += 1;
  if (existsSync(path)) {
    present += 1;
    return path;
  }
  console.warn(`SKIPPED: ${path} is absent; the cases that need it did not run.`);
  return undefined;
}

/** What a promise or a function throws. Fails when it does not throw. */
export async function thrown(action: () => unknown): Promise<PhantomgradError & Record<string, unknown>> {
  try {
    await action();
  } catch (error) {
    return error as PhantomgradError & Record<string, unknown>;
  }
  throw new Error('expected an error, but nothing was thrown');
}
