// Installs the npm packages of the lock file, unless they are there.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { run } from './shell.mjs';
import { root } from './stamp.mjs';

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages;
  } catch {
    return null;
  }
}

/** Whether node_modules holds what the lock file names. Looks at npm's own list, so an `npm install` by hand counts too. */
export function packagesAreInstalled() {
  const wanted = packagesOf('package-lock.json');
  const installed = packagesOf('node_modules/.package-lock.json');
  if (wanted === null || installed === null) return false;
  return Object.entries(wanted).every(
    ([path, { version, optional, peer }]) =>
      path === '' || optional || peer || (installed[path]?.version === version && existsSync(join(root, path))),
  );
}

/** Without scripts: what we depend on needs none, and our own would build the native files too early. */
export async function installPackages() {
  if (packagesAreInstalled()) return;
  console.error('Installing npm packages');
  const npm = process.env.npm_execpath;
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel', 'error'];
  await (npm ? run(process.execPath, [npm, ...args], { cwd: root }) : run('npm', args, { cwd: root }));
}
