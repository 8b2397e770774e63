// Makes prebuilds/ for this platform with prebuildify, and notes beside them what they need of a machine.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

import { setup } from './setup.mjs';
import { isMain, main, run, StepError } from './shell.mjs';
import { root } from './stamp.mjs';

const require = createRequire(import.meta.url);

/** The newest GNU C library version that the files in `folder` ask for. */
export function glibcFloor(folder) {
  const versions = readdirSync(folder)
    .filter((name) => /\.(node|so)$/.test(name))
    .flatMap((name) => [
      ...execFileSync('readelf', ['-V', join(folder, name)], { encoding: 'utf8' }).matchAll(/GLIBC_(\d+)\.(\d+)/g),
    ])
    .map(([, major, minor]) => [Number(major), Number(minor)]);
  return (
    versions
      .sort(([a, b], [c, d]) => a - c || b - d)
      .at(-1)
      ?.join('.') ?? '2.0'
  );
}

/** lib/native reads this before it opens the files: an old C library gets a sentence instead of a linker error. */
export function writeRequirements(folder) {
  writeFileSync(join(folder, 'requires.json'), `${JSON.stringify({ glibc: glibcFloor(folder) })}\n`);
}

if (isMain(import.meta)) {
  await main(async () => {
    const libtorch = await setup();
    rmSync(join(root, 'prebuilds'), { recursive: true, force: true });
    // node-gyp wants Node's headers even though nothing of ours uses them; without a folder it would try to download.
    const nodedir = resolve(process.execPath, '..', '..');
    const headers = existsSync(join(nodedir, 'include', 'node')) ? { npm_config_nodedir: nodedir } : {};
    const args = ['--napi', '--strip', '--tag-libc', '-t', process.versions.node];
    await run(process.execPath, [require.resolve('prebuildify/bin.js'), ...args], {
      cwd: root,
      env: { ...process.env, ...headers, LIBTORCH: libtorch },
    });
    const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
    if (!existsSync(folder)) throw new StepError(`prebuildify made no ${folder}.`);
    writeRequirements(folder);
    console.log(`${readdirSync(folder).join(', ')}: needs glibc ${glibcFloor(folder)}`);
  });
}
