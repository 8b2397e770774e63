// The CUDA kernels' laws on the host executor: the same sources, compiled by a C++ compiler, block by block on the CPU.

import { hostKit, hostMissing } from './kit';
import { LAWS } from './laws';

const missing = hostMissing();
if (missing === null) {
  const kit = hostKit();
  for (const [name, laws] of Object.entries(LAWS)) describe(name, () => laws(kit));
} else {
  console.warn(`SKIPPED: the CUDA kernels' laws on the host executor. ${missing}.`);
  test.skip(`0 laws of CUDA kernels ran: ${missing}`, () => undefined);
}
