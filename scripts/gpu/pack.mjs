// Packs what scripts/gpu.sh needs on a machine without npm: sources, compiled library and laws, the packages that it requires, Node.js.
//
// Usage: node scripts/gpu/pack.mjs [--node] [build/gpu-suite.tar.gz]
//   --node   the program of this very Node.js comes along (40 MB), for a machine with the same kind of processor and none of its own
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';

import { buildTypeScript } from '../build-ts.mjs';
import { main, StepError } from '../shell.mjs';
import { root, setupFolder } from '../stamp.mjs';

const { transformFileSync } = createRequire(import.meta.url)('@swc/core');

// The library first-hand and the laws beside it, with the relations between their folders kept.
const COMPILED = [
  ...['lib', 'test/csrc/cuda', 'test/csrc/ops', 'test/csrc/private_update_support.ts', 'test/gpu'],
  'test/lib/privacy/fixture.ts',
];
const COPIED = [
  ...['csrc', 'scripts', 'CMakeLists.txt', 'package.json', 'test/csrc/cuda/host'],
  ...['lib/native/digest.cjs', 'lib/native/lock.cjs'],
  'node_modules/node-api-headers/include',
  ...packages(['.']).map((name) => `node_modules/${name}`),
];

// What the library requires at run time, and what that requires.
function packages(folders) {
  const names = folders.flatMap((folder) => {
    const { dependencies = {} } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    return Object.keys(dependencies);
  });
  return names.length === 0 ? [] : [...new Set([...names, ...packages(names.map((name) => `node_modules/${name}`))])];
}

function* typescriptBelow(path) {
  if (path.endsWith('.ts')) yield path;
  else
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const child = join(path, entry.name);
      if (entry.isDirectory()) yield* typescriptBelow(child);
      else if (/(?<!\.d)\.ts$/.test(entry.name)) yield child;
    }
}

function git(...args) {
  return spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout.trim();
}

function tar(archive, folder) {
  const { status, stderr } = spawnSync('tar', ['-czf', archive, '-C', folder, '.'], { encoding: 'utf8' });
  if (status !== 0) throw new StepError(`tar failed: ${stderr}`);
}

await main(async () => {
  const { values, positionals } = parseArgs({ options: { node: { type: 'boolean' } }, allowPositionals: true });
  await buildTypeScript();
  const archive = positionals[0] ?? join(root, 'build', 'gpu-suite.tar.gz');
  const staging = join(setupFolder, 'gpu-suite');
  rmSync(staging, { recursive: true, force: true });
  for (const path of COPIED) cpSync(join(root, path), join(staging, path), { recursive: true });
  const options = { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } };
  for (const file of COMPILED.flatMap((path) => [...typescriptBelow(join(root, path))])) {
    const to = join(staging, relative(root, file).replace(/\.ts$/, '.js'));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, transformFileSync(file, { ...options, swcrc: false }).code);
  }
  if (values.node) {
    const bin = join(staging, '.setup', 'node', 'bin');
    mkdirSync(bin, { recursive: true });
    copyFileSync(process.execPath, join(bin, 'node'));
  }
  const commit = `${git('rev-parse', 'HEAD')}${git('status', '--porcelain') === '' ? '' : ' with changes'}`;
  writeFileSync(join(staging, 'COMMIT'), `${commit}\n`);
  mkdirSync(dirname(archive), { recursive: true });
  tar(archive, staging);
  console.log(`${archive}: ${(statSync(archive).size / 1e6).toFixed(1)} MB. On the machine with the GPU:`);
  console.log('  mkdir suite && tar -xzf gpu-suite.tar.gz -C suite && sh suite/scripts/gpu.sh OUT');
});
