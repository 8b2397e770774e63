// What a tensor leaves is used again by the next tensor of its size: a backward pass lives in the memory of its forward pass.

import { runChild } from '../../fixtures/child';

test('a tensor takes the place that one of its size has left', async () => {
  const { code, stdout, stderr } = await runChild('../csrc/ops/tensor_memory_child.ts');
  if (code !== 0) throw new Error(`the child ended with ${code}: ${stderr}`);
  const { grown, allocated } = JSON.parse(stdout) as { grown: number; allocated: number };
  expect(grown).toBeLessThan(allocated / 10);
});
