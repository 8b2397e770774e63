// The CUDA kernels' laws on the host executor: the same sources, compiled by a C++ compiler, block by block on the CPU.

import { hostKit, hostMissing } from './kit';
import { privateAdamLaws } from './laws/private_adam';

const missing = hostMissing();
if (missing === null) {
  const kit = hostKit();
  describe('private update', () => privateAdamLaws(kit));
} else {
  console.warn(`SKIPPED: the CUDA kernels' laws on the host executor. ${missing}.`);
  test.skip(`0 laws of CUDA kernels ran: ${missing}`, () => undefined);
}
