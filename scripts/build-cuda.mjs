// Compiles libphantomgrad_cuda.so, the kernels for NVIDIA GPUs, and puts it beside the core. Needs neither GPU nor driver.
//
// Usage: node scripts/build-cuda.mjs [--out build/Release]   (`npm run build -- --cuda` does this after everything else)
import { copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { buildTypeScript } from './build-ts.mjs';
import { ensureNvcc } from './nvcc.mjs';
import { isMain, main, run } from './shell.mjs';
import { digestOf, dropStamp, readStamp, root, setupFolder, writeStamp } from './stamp.mjs';
import { buildEnvironment, generator } from './tools.mjs';

const require = createRequire(import.meta.url);
const { withLock } = require('../lib/native/lock.cjs');
const { PLUGIN_SOURCES } = require('../lib/native/digest.cjs');

const RELEASE = join(root, 'build', 'Release');
export const PLUGIN = 'libphantomgrad_cuda.so';

/** Whether the plugin that lies in build/Release was made from other sources than are here now. */
export function stalePlugin() {
  return existsSync(join(RELEASE, PLUGIN)) && readStamp('cuda')?.digest !== digestOf(PLUGIN_SOURCES);
}

/** Builds the plugin into `out`. It links no LibTorch, so that the headers of `libtorch` are all that it needs. */
export function buildCuda({ libtorch, out = RELEASE }) {
  const onWait = (pid) => console.error(`Another build (process ${pid}) is running; waiting for it.`);
  return withLock(join(setupFolder, 'cuda.lock'), () => buildOnce(libtorch, out), { onWait });
}

async function buildOnce(libtorch, out) {
  const nvcc = await ensureNvcc();
  const digest = digestOf(PLUGIN_SOURCES);
  if (out === RELEASE) dropStamp('cuda');
  const env = await buildEnvironment();
  const tree = join(root, '.cmake-cuda');
  const settings = [`LIBTORCH=${libtorch}`, `CMAKE_CUDA_COMPILER=${nvcc}`, 'CMAKE_BUILD_TYPE=Release'].map(
    (one) => `-D${one}`,
  );
  const jobs = process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? String(availableParallelism());
  const source = join(root, 'csrc', 'cuda');
  await run('cmake', ['-S', source, '-B', tree, '-G', generator(env), '--log-level=WARNING', ...settings], {
    cwd: root,
    env,
  });
  await run('cmake', ['--build', tree, '--parallel', jobs], { cwd: root, env });
  mkdirSync(out, { recursive: true });
  const part = join(out, `${PLUGIN}.${process.pid}.part`);
  copyFileSync(join(tree, PLUGIN), part);
  renameSync(part, join(out, PLUGIN));
  if (out === RELEASE) writeStamp('cuda', { digest });
}

if (isMain(import.meta)) {
  const { values } = parseArgs({ options: { out: { type: 'string' } } });
  await main(async () => {
    await buildTypeScript();
    const { findLibtorch } = require(join(root, 'dist', 'native', 'index.js'));
    await buildCuda({ libtorch: findLibtorch().root, ...values });
  });
}
