// Sets up what is missing, then runs a script of ours: node scripts/run.mjs dist/cli/main.js train recommender ...
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { setup } from './setup.mjs';
import { main, StepError } from './shell.mjs';
import { root } from './stamp.mjs';

await main(async () => {
  const [script, ...args] = process.argv.slice(2);
  const libtorch = await setup();
  if (!existsSync(join(root, script))) throw new StepError(`${script} does not exist.`);
  // The child need not search again.
  const child = spawn(process.execPath, [join(root, script), ...args], {
    stdio: 'inherit',
    env: { ...process.env, LIBTORCH: libtorch },
  });
  // The child decides how to end (a checkpoint, exit code 130) and we report that. Ctrl-C in a terminal reaches it without us
  // too; it takes two signals within half a second for one. A signal to this process alone would be lost otherwise.
  process.on('SIGINT', () => child.kill('SIGINT'));
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const { status, signal } = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, by) => resolve({ status: code, signal: by }));
  });
  if (signal !== null) process.removeAllListeners(signal).kill(process.pid, signal);
  process.exitCode = status ?? 1;
});
