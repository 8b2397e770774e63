// Noise and private updates have the same bits on every instruction set and for every number of threads.

import { runChild } from '../fixtures/child';

// A child opens LibTorch: a second alone, several on a busy machine.
jest.setTimeout(60_000);

async function fingerprint(threads: number, env: NodeJS.ProcessEnv): Promise<string> {
  const ended = await runChild('../csrc/private_update_fingerprint.ts', [String(threads)], { env });
  expect(ended).toMatchObject({ code: 0 });
  return ended.stdout.trim();
}

let expected: string;
beforeAll(async () => {
  expected = await fingerprint(1, { PHANTOMGRAD_ISA: 'baseline' });
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
] as const)('%s with %i threads gives the bits of one baseline thread', async (PHANTOMGRAD_ISA, threads) => {
  expect(await fingerprint(threads, { PHANTOMGRAD_ISA })).toBe(expected);
});

test("LibTorch's own switch is honoured and does not change the bits", async () => {
  expect(await fingerprint(2, { ATEN_CPU_CAPABILITY: 'default' })).toBe(expected);
});
