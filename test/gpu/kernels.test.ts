// The CUDA kernels' laws on a GPU, and their bits beside those of the host executor. Also run by scripts/gpu.sh without Jest.

import { torch } from '../../lib/tensor';
import { gpuKit, gpuMissing, hostKit } from '../csrc/cuda/kit';
import { LAWS } from '../csrc/cuda/laws';

const missing = gpuMissing();
if (missing === null) {
  // The host executor first: its library also holds the CPU kernel that the private update is compared with.
  const [host, gpu] = [hostKit(), gpuKit()];
  for (const [name, laws] of Object.entries(LAWS)) {
    describe(`${name} on the host executor`, () => laws(host));
    describe(`${name} on a GPU`, () => laws(gpu));

    // Those of the private update compare with the bits of the CPU's kernel themselves.
    if (name === 'private update') continue;
    test(`${name}: every result on a GPU has the bits of the host executor`, () => {
      const own = (trace: Map<string, string[]>, place: string): Map<string, string> =>
        new Map(
          [...trace]
            .filter(([law]) => law.startsWith(`${name} on `))
            .map(([law, digests]) => [law.replace(place, ''), String(digests)]),
        );
      const [want, got] = [own(host.trace, ' on the host executor'), own(gpu.trace, ' on a GPU')];
      expect(want.size).toBeGreaterThan(0);
      expect([...want].filter(([law, digests]) => got.get(law) !== digests).map(([law]) => law)).toEqual([]);
    });
  }

  test('every family of kernels agrees with the operators of LibTorch on this GPU, so that models use it', () => {
    const lines = torch.ops.phantomgrad.plugin_try('cuda:0');
    expect(lines.filter((line) => !line.endsWith('cuda:0 in use'))).toEqual([]);
  });
} else {
  console.warn(`SKIPPED: the CUDA kernels on a GPU. ${missing}.`);
  test.skip(`0 laws of CUDA kernels ran on a GPU: ${missing}`, () => undefined);
}
