// Memory of a long training run is flat: 2,000 steps from attach to private_adam_, in a process of their own.

import { runChild } from '../../fixtures/child';

test('2,000 private steps keep memory flat', async () => {
  const { code, stdout, stderr } = await runChild('../csrc/ops/soak_child.ts', [], { flags: ['--expose-gc'] });
  if (code !== 0) throw new Error(`the child ended with ${code}: ${stderr}`);
  const { rss, tensors, notFinite, lossIsFinite } = JSON.parse(stdout) as {
    rss: number[];
    tensors: number[];
    notFinite: number;
    lossIsFinite: boolean;
  };
  expect(rss).toHaveLength(20);
  expect({ notFinite, lossIsFinite }).toEqual({ notFinite: 0, lossIsFinite: true });
  expect(new Set(tensors).size).toBe(1);
  // What is left is the allocator settling: less than 3 KiB a step, which is less than any one activation of this model.
  const median = (values: number[]): number => values.sort((x, y) => x - y)[1]!;
  const grown = median(rss.slice(17)) - median(rss.slice(8, 11)); // over 900 steps
  expect(grown / 2 ** 20).toBeLessThan(2.7);
}, 120_000);
