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
  }

  test('every family of kernels agrees with the operators of LibTorch on this GPU, so that models use it', () => {
    const lines = torch.ops.phantomgrad.plugin_try('cuda:0');
    expect(lines.filter((line) => !line.endsWith('cuda:0 in use'))).toEqual([]);
  });

  test('every result on the GPU has the bits of the host executor', () => {
    const plain = (trace: Map<string, string[]>): Map<string, string[]> =>
      new Map([...trace].map(([law, digests]) => [law.replace(/ on (a GPU|the host executor)/, ''), digests]));
    const [want, got] = [plain(host.trace), plain(gpu.trace)];
    expect(got.size).toBeGreaterThan(20);
    const other = [...want].filter(([law, digests]) => String(got.get(law)) !== String(digests)).map(([law]) => law);
    expect(other).toEqual([]);
  });
} else {
  console.warn(`SKIPPED: the CUDA kernels on a GPU. ${missing}.`);
  test.skip(`0 laws of CUDA kernels ran on a GPU: ${missing}`, () => undefined);
}
