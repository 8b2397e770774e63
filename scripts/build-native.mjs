// Configures and builds the native files with cmake-js and copies them where node-gyp-build looks for them.
//
// Usage: node scripts/build-native.mjs [--out build/Release] [--config Release] [--sanitize address,undefined] [-DNAME=VALUE ...]
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const root = resolve(import.meta.dirname, '..');
const require = createRequire(import.meta.url);
const { values: options } = parseArgs({
  options: {
    out: { type: 'string', default: join(root, 'build', 'Release') },
    config: { type: 'string', default: 'Release' },
    sanitize: { type: 'string', default: '' },
    define: { type: 'string', short: 'D', multiple: true, default: [] },
  },
});

// Sanitized objects live apart: switching back and forth must not rebuild everything.
const tree = join(root, options.sanitize === '' ? '.cmake' : `.cmake-${options.sanitize.replaceAll(',', '-')}`);
const libtorch = process.env.LIBTORCH;
if (!libtorch) {
  console.error('Set LIBTORCH to a folder with lib/libtorch_cpu.so.');
  process.exit(1);
}

function has(tool) {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0;
}

// configure and build apart: `cmake-js compile` answers a compile error by wiping the tree and building everything again.
function cmakeJs(command) {
  const arguments_ = [
    require.resolve('cmake-js/bin/cmake-js'),
    command,
    '--log-level',
    'warn',
    '--directory',
    root,
    '--out',
    tree,
    '--config',
    options.config,
    '-G',
    has('ninja') ? 'Ninja' : 'Unix Makefiles',
    ...Object.entries({ LIBTORCH: libtorch, PHANTOMGRAD_SANITIZE: options.sanitize }).map(
      ([name, value]) => `--CD${name}=${value}`,
    ),
    ...options.define.map((definition) => `--CD${definition}`),
    ...(command === 'build' ? ['--parallel', String(process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? 2)] : []),
  ];
  const { status, error } = spawnSync(process.execPath, arguments_, { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

cmakeJs('configure');
cmakeJs('build');

// By renaming: a process that has the old file open keeps it, and nobody ever sees half a file.
mkdirSync(options.out, { recursive: true });
for (const name of readdirSync(join(tree, options.config))) {
  if (!/\.(node|so)$/.test(name)) continue;
  const part = join(options.out, `${name}.${process.pid}.part`);
  copyFileSync(join(tree, options.config, name), part);
  renameSync(part, join(options.out, name));
}
