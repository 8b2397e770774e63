// Compiles lib/ to dist/ (CommonJS with declarations) and writes the door for `import`.
import { copyFileSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { isMain, main, run } from './shell.mjs';
import { digestOf, dropStamp, readStamp, root, writeStamp } from './stamp.mjs';

const INPUTS = ['lib', 'types', 'tsconfig.json', 'tsconfig.build.json', 'scripts/build-ts.mjs', 'package-lock.json'];
const require = createRequire(import.meta.url);

// ES modules get the same classes: the door imports the CommonJS build and names what it exports.
function writeModuleDoor(folder) {
  const names = Object.keys(require(join(folder, 'index.js'))).filter((name) => name !== '__esModule');
  writeFileSync(
    join(folder, 'index.mjs'),
    `// Made by scripts/build-ts.mjs.\nimport library from './index.js';\nexport const {\n  ${names.join(',\n  ')},\n} = library;\n`,
  );
  writeFileSync(join(folder, 'index.d.mts'), "// Made by scripts/build-ts.mjs.\nexport * from './index.js';\n");
}

function copyPlainScripts(from, to) {
  for (const entry of readdirSync(from, { withFileTypes: true, recursive: true })) {
    if (!/\.(cjs|d\.cts)$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    copyFileSync(path, join(to, path.slice(from.length)));
  }
}

/** Compiles unless dist/ is up to date. @throws StepError on type errors, with dist/ as it was. */
export async function buildTypeScript() {
  const digest = digestOf(INPUTS);
  const stamp = readStamp('dist');
  if (stamp?.digest === digest && existsSync(join(root, 'dist'))) return;
  dropStamp('dist');
  console.error('Compiling TypeScript');
  const part = join(root, '.setup', 'dist');
  rmSync(part, { recursive: true, force: true });
  await run(process.execPath, [
    require.resolve('typescript/bin/tsc'),
    '-p',
    join(root, 'tsconfig.build.json'),
    '--outDir',
    part,
  ]);
  copyPlainScripts(join(root, 'lib'), part);
  // Moved as a whole: files whose source is gone do not stay behind, and a failed build leaves the old one.
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  renameSync(part, join(root, 'dist'));
  // At its final place: the library reads package.json beside dist/.
  writeModuleDoor(join(root, 'dist'));
  writeStamp('dist', { digest });
}

if (isMain(import.meta)) await main(buildTypeScript);
