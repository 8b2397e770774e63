// The whole check of a checkout: set-up, lint, types, tests. With arguments: set-up, then only Jest with them.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { setup } from './setup.mjs';
import { main } from './shell.mjs';
import { root } from './stamp.mjs';

const CHECKS = [
  ['lint', ['scripts/lint.mjs']],
  ['types', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json']],
];

await main(async () => {
  const libtorch = await setup();
  const args = process.argv.slice(2);
  const node = (argv, env = {}) =>
    spawnSync(process.execPath, argv, {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, LIBTORCH: libtorch, ...env },
    }).status === 0;
  let failed = 0;
  const checks = args.length === 0 ? CHECKS : [];
  for (const [name, argv] of checks) {
    const passed = node(argv);
    console.log(`${passed ? 'PASS' : 'FAIL'} ${name}`);
    if (!passed) failed += 1;
  }
  const jest = [join(root, 'node_modules', 'jest', 'bin', 'jest.js'), ...args];
  if (!node(jest, { PHANTOMGRAD_CHECKS: `${checks.length - failed},${failed}` })) failed += 1;
  if (failed > 0) process.exitCode = 1;
});
