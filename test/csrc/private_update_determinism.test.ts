// Noise and private updates have the same bits on every instruction set and for every number of threads.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

function fingerprint(threads: number, environment: Record<string, string>): string {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [
      '--require',
      join(__dirname, '../support/typescript.cjs'),
      join(__dirname, 'private_update_fingerprint.ts'),
      String(threads),
    ],
    { env: { ...process.env, ...environment }, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`the child ended with ${status}: ${stderr}`);
  return stdout.trim();
}

let expected: string;
beforeAll(() => {
  expected = fingerprint(1, { PHANTOMGRAD_ISA: 'baseline' });
});

test('the digest covers something', () => {
  expect(expected).toMatch(/^[0-9a-f]{64}$/);
});

// On a processor without AVX-512 the higher levels fall back to what it has: the law still holds, and is weaker.
test.each([
  ['avx2', 1],
  ['avx512', 1],
  ['avx512', 2],
  ['avx512', 3],
] as const)('%s with %i threads gives the bits of one baseline thread', (PHANTOMGRAD_ISA, threads) => {
  expect(fingerprint(threads, { PHANTOMGRAD_ISA })).toBe(expected);
});

test("LibTorch's own switch is honoured and does not change the bits", () => {
  expect(fingerprint(2, { ATEN_CPU_CAPABILITY: 'default' })).toBe(expected);
});
