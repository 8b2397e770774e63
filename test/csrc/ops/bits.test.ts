// Threads change no bit of norms, bounds and sums; instruction sets change them within rounding.

import { readFileSync } from 'node:fs';

import { runChild } from '../../fixtures/child';
import { expectClose } from './numbers';

interface Outcome {
  readonly digests: string[];
  readonly numbers: Record<string, number[]>;
}

async function run(isa: string): Promise<Outcome> {
  const { code, stdout, stderr } = await runChild('../csrc/ops/bits_child.ts', [], { env: { PHANTOMGRAD_ISA: isa } });
  if (code !== 0) throw new Error(`the child ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as Outcome;
}

// On a processor without AVX-512 the higher levels fall back to what it has: the law still holds, and is weaker.
const ISAS = ['baseline', 'avx2', 'avx512'] as const;
const outcomes = new Map<string, Outcome>();
beforeAll(async () => {
  for (const isa of ISAS) outcomes.set(isa, await run(isa));
}, 120_000);

test.each(ISAS)('%s: one, two and three threads give the same bits', (isa) => {
  const { digests } = outcomes.get(isa)!;
  expect(digests[0]).toMatch(/^[0-9a-f]{64}$/);
  expect(digests).toEqual([digests[0], digests[0], digests[0]]);
});

test.each(['avx2', 'avx512'] as const)('%s agrees with the baseline within rounding', (isa) => {
  const [base, other] = [outcomes.get('baseline')!, outcomes.get(isa)!];
  expect(Object.keys(other.numbers)).toEqual(Object.keys(base.numbers));
  for (const [key, want] of Object.entries(base.numbers)) {
    const relative = key.startsWith('float64') ? 1e-11 : 2e-5;
    // A bound adds a share of rounding that depends on how many lanes share a sum.
    if (key.endsWith('bound')) expectClose(other.numbers[key]!, want, { relative: 0.01, what: key });
    else expectClose(other.numbers[key]!, want, { relative, absolute: relative * want[0]!, what: key });
  }
});

test('the switch is obeyed: where the processor has AVX2, not all levels have the same bits', () => {
  const digests = new Set(ISAS.map((isa) => outcomes.get(isa)!.digests[0]));
  expect(digests.size > 1).toBe(readFileSync('/proc/cpuinfo', 'utf8').includes('avx2'));
});
