// What a GPU needs: driver, libraries, kernels. What is missing is named; what is downloaded is everything that LibTorch asks for.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { cudaLibraries, libtorchFolder, searchLibtorch } from '../../../lib/native';
import { CUDA_PEAK_BYTES, CUDA_WHEELS } from '../../../lib/native/cuda-wheels';
import { digestBelow, PLUGIN_SOURCES } from '../../../lib/native/digest.cjs';
import { describeCuda, describeKernels } from '../../../lib/native/doctor';
import { downloadLibtorch } from '../../../lib/native/setup';
import { CPU_WHEELS } from '../../../lib/native/wheels';
import { emptyEnvironment, fakeLibtorch, temporaryFolder } from './places';
import { wheelhouse } from './wheelhouse';

/** DT_NEEDED of libtorch_cuda.so and libtorch_cuda_linalg.so 2.11 beside the system's and torch's CPU libraries (readelf -d). */
const NEEDED = [
  ...['torch/lib/libc10_cuda.so', 'torch/lib/libtorch_cuda.so', 'torch/lib/libtorch_cuda_linalg.so'],
  ...[
    'torch/lib/libtorch_nvshmem.so',
    'torch/lib/libcaffe2_nvrtc.so',
    'torch/lib/libc10.so',
    'torch/lib/libtorch_cpu.so',
  ],
  ...['nvidia/cu13/lib/libcudart.so.13', 'nvidia/cu13/lib/libcusparse.so.12', 'nvidia/cu13/lib/libcufft.so.12'],
  ...['nvidia/cu13/lib/libcufile.so.0', 'nvidia/cusparselt/lib/libcusparseLt.so.0', 'nvidia/nccl/lib/libnccl.so.2'],
  ...['nvidia/cu13/lib/libcurand.so.10', 'nvidia/cu13/lib/libcublas.so.13', 'nvidia/cu13/lib/libcublasLt.so.13'],
  ...['nvidia/cudnn/lib/libcudnn.so.9', 'nvidia/cudnn/lib/libcudnn_ops.so.9', 'nvidia/cu13/lib/libcusolver.so.12'],
  ...[
    'nvidia/nvshmem/lib/libnvshmem_host.so.3',
    'nvidia/cu13/lib/libnvJitLink.so.13',
    'nvidia/cu13/lib/libcupti.so.13',
  ],
  ...['nvidia/cu13/lib/libnvrtc.so.13', 'nvidia/cu13/lib/libnvrtc-builtins.so.13.0'],
];

test.each(NEEDED)('exactly one wheel brings %s', (path) => {
  const bringing = CUDA_WHEELS.filter(({ keep }) => keep.some((pattern) => new RegExp(`^(?:${pattern})$`).test(path)));
  expect(bringing).toHaveLength(1);
});

test('wheels are pinned: name, version and checksum of a file for linux-x64', () => {
  for (const { requirement, file, bytes, sha256 } of CUDA_WHEELS) {
    const [name, version] = requirement.split('==');
    expect(file).toMatch(
      new RegExp(`^${name!.replaceAll('-', '_')}-${version!.replaceAll('.', '\\.')}-.*x86_64\\.whl$`),
    );
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(bytes).toBeGreaterThan(100_000);
  }
  expect(new Set(CUDA_WHEELS.map(({ sha256 }) => sha256)).size).toBe(CUDA_WHEELS.length);
  expect(CUDA_WHEELS.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(CUDA_PEAK_BYTES / 2);
  // The one torch wheel serves both: whoever has it in a pip cache does not fetch it again.
  const torch = (wheels: readonly { requirement: string; sha256: string }[]): string | undefined =>
    wheels.find(({ requirement }) => requirement.startsWith('torch=='))?.sha256;
  expect(torch(CUDA_WHEELS)).toBe(torch(CPU_WHEELS));
});

describe('what stands between a process and a GPU', () => {
  const none = { version: '/nowhere/version', control: '/nowhere/nvidiactl', wsl: '/nowhere/dxg' };
  let root: string;
  let driver: typeof none;
  let core: string;

  beforeEach(() => {
    const folder = temporaryFolder();
    root = join(folder, 'torch');
    core = join(folder, 'libphantomgrad-2.11.so');
    mkdirSync(join(root, 'lib'), { recursive: true });
    driver = { ...none, version: join(folder, 'version') };
    writeFileSync(
      driver.version,
      'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n',
    );
  });

  const put = (...names: string[]): void => names.forEach((name) => writeFileSync(name, ''));
  const libraries = (): string[] => ['libc10_cuda.so', 'libtorch_cuda.so'].map((name) => join(root, 'lib', name));

  test('no driver', () => {
    put(...libraries());
    const found = cudaLibraries(root, core, none);
    expect(found).toMatchObject({ driver: null, libraries: [] });
    expect(describeCuda(found)).toMatch(/not usable: .*no NVIDIA driver/);
  });

  test('a driver, but a LibTorch for the CPU alone', () => {
    const found = cudaLibraries(root, core, driver);
    expect(found).toMatchObject({ driver: '580.65.06', libraries: [] });
    expect(found.problem).toMatch(/libtorch_cuda\.so.*phantomgrad setup --cuda/);
  });

  test('everything but kernels of ours', () => {
    put(...libraries());
    const found = cudaLibraries(root, core, driver);
    expect(found).toEqual({ driver: '580.65.06', libraries: libraries(), problem: null, plugin: null, stale: null });
    expect(describeCuda(found)).toMatch(/580\.65\.06.*LibTorch's operators do all work/);
  });

  test('a driver that shows its device alone, as in some sandboxes', () => {
    const control = join(root, 'nvidiactl');
    put(...libraries(), control);
    expect(cudaLibraries(root, core, { ...none, control })).toMatchObject({ driver: 'unknown', problem: null });
  });

  test('kernels that were built from other sources than lie there are named with what builds them again', () => {
    const plugin = join(core, '..', 'libphantomgrad_cuda.so');
    put(...libraries(), plugin);
    const found = (): string | null => cudaLibraries(root, core, driver, dirname(core)).stale;
    expect(found()).toBeNull(); // nothing says what they were built from: a plugin from elsewhere
    const source = join(dirname(core), 'csrc', 'cuda', 'kernel.cu');
    for (const folder of [dirname(source), join(dirname(core), '.setup')]) mkdirSync(folder, { recursive: true });
    writeFileSync(source, 'one');
    const stamp = { digest: digestBelow(dirname(core), PLUGIN_SOURCES) };
    writeFileSync(join(dirname(core), '.setup', 'cuda.json'), JSON.stringify(stamp));
    expect(found()).toBeNull();
    writeFileSync(source, 'two');
    expect(found()).toMatch(/libphantomgrad_cuda\.so was built from other sources.*npm run build -- --cuda/);
  });

  test('everything: the kernels are opened last', () => {
    const plugin = join(core, '..', 'libphantomgrad_cuda.so');
    put(...libraries(), plugin);
    expect(cudaLibraries(root, core, driver)).toMatchObject({ libraries: [...libraries(), plugin], plugin });
  });
});

test('a family of kernels that was switched off is a finding', () => {
  const [used, off] = ['norm layers: 0 calls; cuda:0 in use', 'attention: 0 calls; cuda:0 OFF: Float: outputs differ'];
  expect(describeKernels([used])).toEqual({ name: 'GPU kernels', ok: true, text: 'norm layers; cuda:0 in use' });
  expect(describeKernels([used, off])).toMatchObject({
    ok: false,
    text: expect.stringContaining('attention; cuda:0 OFF'),
  });
});

test('a set-up that did not bring the CUDA libraries is no set-up with CUDA', async () => {
  const house = (await wheelhouse(temporaryFolder()))(temporaryFolder());
  const asked = downloadLibtorch({ env: house.env, wheels: house.wheels, cuda: true, log: () => undefined });
  await expect(asked).rejects.toMatchObject({
    code: 'ERR_DOWNLOAD',
    message: expect.stringContaining('libc10_cuda.so'),
  });
  expect(searchLibtorch(house.env, []).found).toBeNull();
});

test('in the cache, the LibTorch with CUDA goes before the one without', () => {
  const env = emptyEnvironment(temporaryFolder());
  for (const variant of ['cpu', 'cuda'] as const) {
    fakeLibtorch(libtorchFolder(env, variant));
    writeFileSync(join(libtorchFolder(env, variant), '.done'), '');
  }
  expect(searchLibtorch(env, []).found?.root).toContain(libtorchFolder(env, 'cuda'));
});
