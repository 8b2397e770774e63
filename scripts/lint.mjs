// Every check that reads the sources only: eslint (with the import layers), prettier, C++ includes and C++ format.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

import { root } from './stamp.mjs';
import { privateTool } from './tools.mjs';

const CHECKS = [
  ['eslint', ['node_modules/eslint/bin/eslint.js', '.', '--max-warnings', '0']],
  ['prettier', ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.']],
  ['C++ includes', ['scripts/check-includes.mjs']],
  ['mutations', ['scripts/mutations.mjs', '--check']],
  ['lock file', ['scripts/complete-lock.mjs', '--check']],
];
// The tool is 5 MB that only C++ authors and CI need: `npm run format:cpp` fetches it.
if (existsSync(privateTool('clang-format'))) CHECKS.push(['C++ format', ['scripts/format-cpp.mjs', '--check']]);

const failed = CHECKS.filter(
  ([, argv]) => spawnSync(process.execPath, argv, { cwd: root, stdio: 'inherit' }).status !== 0,
);
if (failed.length > 0) {
  console.error(`\nFailed: ${failed.map(([name]) => name).join(', ')}`);
  process.exitCode = 1;
}
