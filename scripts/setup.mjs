// Makes a fresh checkout ready: npm packages, compiled TypeScript, LibTorch, native files. What is there is left alone.
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { buildNative, builtNative } from './build-native.mjs';
import { buildTypeScript } from './build-ts.mjs';
import { installPackages } from './packages.mjs';
import { isMain, main } from './shell.mjs';
import { root, setupFolder } from './stamp.mjs';

const require = createRequire(import.meta.url);
const { withLock } = require('../lib/native/lock.cjs');

/** Runs the steps that are not done yet and returns the root of the LibTorch to use. */
export async function setup() {
  const onWait = (pid) => console.error(`Another set-up (process ${pid}) works in this checkout; waiting for it.`);
  return withLock(
    join(setupFolder, 'lock'),
    async () => {
      await installPackages();
      await buildTypeScript();
      const libtorch = builtNative();
      if (libtorch !== null) return libtorch;
      const { ensureLibtorch } = require(join(root, 'dist', 'native', 'setup.js'));
      await ensureLibtorch();
      console.error('Building native files');
      return buildNative();
    },
    { onWait },
  );
}

if (isMain(import.meta)) {
  await main(async () => console.log(`Ready. LibTorch: ${await setup()}`));
}
