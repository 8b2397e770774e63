// Configures and builds the native files with cmake-js and copies them where node-gyp-build looks for them.
//
// Usage: node scripts/build-native.mjs [--out build/Release] [--config Release] [--sanitize address,undefined] [-D NAME=VALUE ...]
//                                      [--cuda]: the kernels for NVIDIA GPUs as well, scripts/build-cuda.mjs
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { buildCuda } from './build-cuda.mjs';
import { buildTypeScript } from './build-ts.mjs';
import { isMain, main, run, StepError } from './shell.mjs';
import { digestOf, dropStamp, readStamp, root, setupFolder, writeStamp } from './stamp.mjs';
import { buildEnvironment, generator } from './tools.mjs';

const INPUTS = ['csrc', 'CMakeLists.txt', 'scripts/build-native.mjs', 'package-lock.json'];
/** What the command line takes, and {@link buildNative} with it. */
export const OPTIONS = {
  out: { type: 'string' },
  config: { type: 'string' },
  sanitize: { type: 'string' },
  define: { type: 'string', short: 'D', multiple: true },
  cuda: { type: 'boolean' },
};

const RELEASE = join(root, 'build', 'Release');
const require = createRequire(import.meta.url);
const { withLock } = require('../lib/native/lock.cjs');

// The search for LibTorch is part of the library (lib/native), so the library is compiled first.
async function librarysNative() {
  if (!existsSync(join(root, 'dist', 'native', 'setup.js'))) await buildTypeScript();
  return require(join(root, 'dist', 'native', 'setup.js'));
}

function copyResult(from, to) {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from).filter((file) => /\.(node|so)$/.test(file))) {
    // By renaming: a process that has the old file open keeps it, and nobody ever sees half a file.
    const part = join(to, `${name}.${process.pid}.part`);
    copyFileSync(join(from, name), part);
    renameSync(part, join(to, name));
  }
}

function cmakeJs() {
  try {
    return require.resolve('cmake-js/bin/cmake-js');
  } catch {
    throw new StepError('Building from source needs cmake-js and node-addon-api: npm install cmake-js node-addon-api');
  }
}

// What the search for LibTorch goes by: when it changes, the search is due again.
function asked() {
  const { configurationFile } = require(join(root, 'dist', 'native', 'index.js'));
  const { LIBTORCH, PHANTOMGRAD_PYTHON, VIRTUAL_ENV } = process.env;
  const saved = existsSync(configurationFile()) ? readFileSync(configurationFile(), 'utf8') : null;
  return JSON.stringify([LIBTORCH, PHANTOMGRAD_PYTHON, VIRTUAL_ENV, saved]);
}

/** Builds and returns LibTorch's root. CMake decides what is stale; with nothing to do this takes a second. */
export function buildNative(options) {
  // One build at a time in a build tree: two would trip over each other's objects.
  const onWait = (pid) => console.error(`Another build (process ${pid}) is running; waiting for it.`);
  return withLock(join(setupFolder, 'native.lock'), () => buildOnce(options), { onWait });
}

async function buildOnce({ out = RELEASE, config = 'Release', sanitize = '', define = [], cuda = false } = {}) {
  const { findLibtorch } = require(join(root, 'dist', 'native', 'index.js'));
  const { root: libtorch } = findLibtorch();
  if (!existsSync(join(libtorch, 'include', 'ATen'))) {
    throw new StepError(
      `${libtorch} has no include/ATen: the core is built with LibTorch's headers. Set LIBTORCH to a root that has them.`,
    );
  }
  const env = await buildEnvironment();
  // Sanitized objects live apart: switching back and forth must not rebuild everything.
  const tree = join(root, sanitize === '' ? '.cmake' : `.cmake-${sanitize.replaceAll(',', '-')}`);
  const digest = digestOf(INPUTS, [libtorch]);
  const settings = [`LIBTORCH=${libtorch}`, `PHANTOMGRAD_SANITIZE=${sanitize}`, ...define].map((one) => `--CD${one}`);
  const common = ['--log-level', 'warn', '--directory', root, '--out', tree, '--config', config, '-G', generator(env)];
  const parallel = ['--parallel', process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? String(availableParallelism())];

  if (out === RELEASE) dropStamp('native');
  // configure and build apart: `cmake-js compile` answers a compile error by wiping the tree and building everything again.
  await run(process.execPath, [cmakeJs(), 'configure', ...common, ...settings], { cwd: root, env });
  await run(process.execPath, [cmakeJs(), 'build', ...common, ...settings, ...parallel], { cwd: root, env });
  copyResult(join(tree, config), out);
  if (out === RELEASE && sanitize === '') writeStamp('native', { digest, libtorch, asked: asked() });
  if (cuda) await buildCuda({ libtorch, out });
  return libtorch;
}

/** LibTorch's root when the last build still stands, else null. Needs no search: the answer of the last one is checked. */
export function builtNative() {
  const stamp = readStamp('native');
  const standing =
    stamp !== null &&
    stamp.asked === asked() &&
    existsSync(join(stamp.libtorch, 'lib', 'libtorch_cpu.so')) &&
    existsSync(join(RELEASE, 'phantomgrad.node')) &&
    stamp.digest === digestOf(INPUTS, [stamp.libtorch]);
  return standing ? stamp.libtorch : null;
}

if (isMain(import.meta)) {
  const { values } = parseArgs({ options: OPTIONS });
  await main(async () => {
    await librarysNative();
    await buildNative(values);
  });
}
