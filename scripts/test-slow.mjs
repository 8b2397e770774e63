// npm run test:slow: the tests that are too long for every run, at their full size. Arguments go to Jest.
//   *.slow.test.ts     not part of `npm test`
//   wide.test.ts       part of it with a few settings; here with all of them (PHANTOMGRAD_WIDE=1)
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { setup } from './setup.mjs';
import { main } from './shell.mjs';
import { root } from './stamp.mjs';

await main(async () => {
  const env = { ...process.env, LIBTORCH: await setup(), PHANTOMGRAD_WIDE: '1' };
  const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const chosen = ['--testMatch', '**/*.slow.test.ts', '**/wide.test.ts'];
  const { status } = spawnSync(process.execPath, [jest, ...process.argv.slice(2), ...chosen], {
    cwd: root,
    stdio: 'inherit',
    env,
  });
  if (status !== 0) process.exitCode = 1;
});
