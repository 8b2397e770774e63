// Fetches one pinned wheel with pip, shows how far it is, and accepts nothing but the file of the checksum.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { raise } from '../errors';
import type { Environment } from './places';
import { type Progress } from './progress';
import type { Wheel } from './wheels';

const REMEDY =
  'Run the set-up again: files that are complete are kept. Behind a proxy or with a mirror, configure pip ' +
  '(HTTPS_PROXY, PIP_INDEX_URL). Without network, install torch 2.11 for any Python, or set LIBTORCH to its folder.';

// Named in full, so that the pip of every Python version and machine picks the same file.
const PLATFORM = [
  ...[
    ...['manylinux_2_28', 'manylinux_2_27', 'manylinux_2_25', 'manylinux_2_18', 'manylinux_2_17', 'manylinux_2_12'],
    ...['manylinux2014', 'manylinux2010'],
  ].flatMap((platform) => ['--platform', `${platform}_x86_64`]),
  ...['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311', '--abi', 'none'],
];

/** The SHA-256 of a file in hexadecimal digits. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}

async function isComplete(path: string, wheel: Wheel): Promise<boolean> {
  return existsSync(path) && statSync(path).size === wheel.bytes && (await sha256(path)) === wheel.sha256;
}

function bytesBelow(folder: string): number {
  try {
    return readdirSync(folder, { withFileTypes: true }).reduce((bytes, entry) => {
      const path = join(folder, entry.name);
      return bytes + (entry.isDirectory() ? bytesBelow(path) : statSync(path).size);
    }, 0);
  } catch {
    return 0; // pip moved a file while we were counting; the next look is half a second away.
  }
}

function pipDownload(
  python: string,
  wheel: Wheel,
  folder: string,
  env: Environment,
  progress: Progress,
): Promise<void> {
  const pip = ['-m', 'pip', 'download', '--no-deps', '--no-cache-dir', '--only-binary', ':all:'];
  const quiet = ['--disable-pip-version-check', '--no-input', '--progress-bar', 'off'];
  const child = spawn(python, [...pip, ...quiet, ...PLATFORM, '--dest', folder, wheel.requirement], {
    // pip writes a download into its temporary folder first: ours, to see how far it is and to stay on one disk.
    env: { ...env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const hear = (text: Buffer): void => {
    said = (said + text.toString()).slice(-2000);
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  const timer = setInterval(() => {
    progress.update(Math.min(bytesBelow(folder), wheel.bytes));
  }, 500);
  return new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => {
      if (status === 0) resolve();
      else reject(new Error(`pip ended with ${signal ?? `code ${status}`}:\n${said.trim()}`));
    });
  }).finally(() => {
    clearInterval(timer);
  });
}

/**
 * The path of the wheel in `folder`. A file that is there and right is not fetched again; a wrong one is replaced.
 *
 * @throws ERR_DOWNLOAD pip failed, or what it brought has another checksum. Nothing of it is kept.
 */
export async function fetchWheel(
  wheel: Wheel,
  folder: string,
  python: string,
  env: Environment,
  progress: Progress,
): Promise<string> {
  const path = join(folder, wheel.file);
  if (await isComplete(path, wheel)) {
    progress.update(wheel.bytes);
    return path;
  }
  rmSync(path, { force: true });
  const part = join(folder, 'part');
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  try {
    await pipDownload(python, wheel, part, env, progress);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    return raise(
      'ERR_DOWNLOAD',
      `${wheel.requirement} could not be downloaded: ${(error as Error).message}\n${REMEDY}`,
      error,
    );
  }
  const got = readdirSync(part).find((name) => name.endsWith('.whl'));
  const digest = got === undefined ? null : await sha256(join(part, got));
  if (got === undefined || digest !== wheel.sha256) {
    const size = got === undefined ? 'no file' : `${got}, ${statSync(join(part, got)).size} bytes, sha256 ${digest}`;
    rmSync(part, { recursive: true, force: true });
    return raise(
      'ERR_DOWNLOAD',
      `${wheel.requirement} arrived damaged or is not the expected file: got ${size}; expected ${wheel.file}, ` +
        `${wheel.bytes} bytes, sha256 ${wheel.sha256}. It was deleted.\n${REMEDY}`,
    );
  }
  renameSync(join(part, got), path);
  rmSync(part, { recursive: true, force: true });
  progress.update(wheel.bytes);
  return path;
}
