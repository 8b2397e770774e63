// Packs what scripts/gpu.sh needs on a machine without npm: sources, compiled library and laws, two small packages.
//
// Usage: node scripts/gpu/pack.mjs [build/gpu-suite.tar.gz]
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';

import { buildTypeScript } from '../build-ts.mjs';
import { main, StepError } from '../shell.mjs';
import { root, setupFolder } from '../stamp.mjs';

const { transformFileSync } = createRequire(import.meta.url)('@swc/core');

// The library first-hand and the laws beside it, with the relations between their folders kept.
const COMPILED = ['lib', 'test/csrc/cuda', 'test/csrc/ops', 'test/csrc/private_update_support.ts', 'test/gpu'];
const COPIED = [
  ...['csrc', 'scripts', 'CMakeLists.txt', 'package.json', 'test/csrc/cuda/host'],
  ...['lib/native/lock.cjs', 'node_modules/node-gyp-build', 'node_modules/node-addon-api'],
];

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

await main(async () => {
  await buildTypeScript();
  const archive = process.argv[2] ?? join(root, 'build', 'gpu-suite.tar.gz');
  const staging = join(setupFolder, 'gpu-suite');
  rmSync(staging, { recursive: true, force: true });
  for (const path of COPIED) cpSync(join(root, path), join(staging, path), { recursive: true });
  const options = { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } };
  for (const file of COMPILED.flatMap((path) => [...typescriptBelow(join(root, path))])) {
    const to = join(staging, relative(root, file).replace(/\.ts$/, '.js'));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, transformFileSync(file, { ...options, swcrc: false }).code);
  }
  const commit = `${git('rev-parse', 'HEAD')}${git('status', '--porcelain') === '' ? '' : ' with changes'}`;
  writeFileSync(join(staging, 'COMMIT'), `${commit}\n`);
  mkdirSync(dirname(archive), { recursive: true });
  const { status, stderr } = spawnSync('tar', ['-czf', archive, '-C', staging, '.'], { encoding: 'utf8' });
  if (status !== 0) throw new StepError(`tar failed: ${stderr}`);
  console.log(`${archive}: ${(readFileSync(archive).length / 1e6).toFixed(1)} MB. On the machine with the GPU:`);
  console.log('  mkdir suite && tar -xzf gpu-suite.tar.gz -C suite && sh suite/scripts/gpu.sh OUT [NODE_ARCHIVE]');
});
