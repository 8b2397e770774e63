// docs/results.md is what docs/results.json says: nobody types a number.

import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

test('the tables of the page are those of the stored cells', () => {
  const script = resolve(__dirname, '../../scripts/results.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});
