// The lock that keeps two set-ups apart.

import { fork } from 'node:child_process';
import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { withLock } from '../../../lib/native/lock.cjs';
import { temporaryFolder } from './places';

const CHILD = join(__dirname, 'fixtures', 'lock-child.cjs');

function runChild(lock: string, log: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = fork(CHILD, [lock, log], { execArgv: [] });
    child.once('error', reject);
    child.once('close', resolve);
  });
}

test('of several processes, one at a time is inside', async () => {
  const folder = temporaryFolder();
  const log = join(folder, 'log');
  const codes = await Promise.all([1, 2, 3, 4].map(() => runChild(join(folder, 'lock'), log)));
  expect(codes).toEqual([0, 0, 0, 0]);
  // Each child wrote «in» and «out» around a pause; any overlap would show two «in» in a row.
  expect(readFileSync(log, 'utf8')).toBe('in out '.repeat(4));
  expect(existsSync(join(folder, 'lock'))).toBe(false);
});

test('a holder that died loses the lock at once', async () => {
  const lock = join(temporaryFolder(), 'lock');
  // Process numbers end at 2^22 on Linux: nobody has this one.
  writeFileSync(lock, `token ${hostname()} 99999999`);
  await expect(withLock(lock, () => 'mine')).resolves.toBe('mine');
});

test('a holder on another host keeps the lock while it beats, and loses it afterwards', async () => {
  const lock = join(temporaryFolder(), 'lock');
  writeFileSync(lock, 'token another-host 1');
  const waits: number[] = [];
  const mine = withLock(lock, () => 'mine', { onWait: (pid) => waits.push(pid) });
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(waits).toEqual([1]);
  const old = new Date(Date.now() - 120_000);
  utimesSync(lock, old, old);
  await expect(mine).resolves.toBe('mine');
});

test('the lock is free again after the action threw', async () => {
  const lock = join(temporaryFolder(), 'lock');
  await expect(
    withLock(lock, () => {
      throw new Error('inside');
    }),
  ).rejects.toThrow('inside');
  await expect(withLock(lock, () => 'again')).resolves.toBe('again');
});
