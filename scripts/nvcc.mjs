// The CUDA compiler for the plugin: one that the machine has, else NVIDIA's wheels in our cache. No GPU and no driver needed.
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';

import { isMain, main, StepError, versionOf } from './shell.mjs';
import { root } from './stamp.mjs';

const require = createRequire(import.meta.url);
const { withLock } = require('../lib/native/lock.cjs');

// LibTorch 2.11 is built with CUDA 13.0: a plugin of another major would bring a second run time into the process.
const MAJOR = 13;

const DEEP = 'nvidia/cu13/.*';
const LICENCE = '.*\\.dist-info/.*(LICENSE|License).*';

/** The compiler in parts, pinned by checksum. pip must not choose versions: the compiler's own requirements are unpinned. */
const WHEELS = [
  {
    requirement: 'nvidia-cuda-nvcc==13.0.88',
    file: 'nvidia_cuda_nvcc-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    bytes: 37_384_532,
    sha256: '56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03',
    keep: [DEEP, LICENCE],
  },
  {
    requirement: 'nvidia-nvvm==13.0.88',
    file: 'nvidia_nvvm-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
    bytes: 61_601_415,
    sha256: 'c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0',
    // libnvvm.so serves programs that compile at run time; nvcc starts cicc.
    keep: ['nvidia/cu13/(?!lib/).*', LICENCE],
  },
  {
    requirement: 'nvidia-cuda-crt==13.0.88',
    file: 'nvidia_cuda_crt-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    bytes: 134_086,
    sha256: '2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4',
    keep: [DEEP, LICENCE],
  },
  {
    requirement: 'nvidia-cuda-runtime==13.0.96',
    file: 'nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    bytes: 2_243_632,
    sha256: '7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548',
    keep: ['nvidia/cu13/include/.*', 'nvidia/cu13/lib/.*\\.a', LICENCE],
  },
  {
    // LibTorch's headers include nv/target and thrust/complex.h.
    requirement: 'nvidia-cuda-cccl==13.0.85',
    file: 'nvidia_cuda_cccl-13.0.85-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    bytes: 3_120_526,
    sha256: 'e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649',
    keep: ['nvidia/cu13/include/.*', LICENCE],
  },
];

// The library fetches wheels for LibTorch with the same habits: checksums, complete files kept, damaged ones deleted.
const library = (name) => require(join(root, 'dist', 'native', name));

function cached() {
  return join(library('places.js').cacheFolder(), 'nvcc-13.0.88');
}

const nvccIn = (folder) => join(folder, 'nvidia', 'cu13', 'bin', 'nvcc');

/** An nvcc of the right major that is there already, or null. `NVCC` names one and is then not questioned further. */
export function presentNvcc(env = process.env) {
  if (env.NVCC) {
    if (versionOf(env.NVCC) === null) throw new StepError(`NVCC=${env.NVCC} does not run.`);
    return env.NVCC;
  }
  const folders = [
    ...[env.CUDA_HOME, env.CUDA_PATH].filter(Boolean).map((home) => join(home, 'bin')),
    ...(env.PATH ?? '').split(delimiter),
    '/usr/local/cuda/bin',
  ];
  for (const folder of folders) {
    const path = join(folder, 'nvcc');
    // «Cuda compilation tools, release 13.0»: the first pair of numbers that nvcc prints is its release.
    if (folder !== '' && existsSync(path) && versionOf(path)?.[0] === MAJOR) return path;
  }
  return existsSync(join(cached(), '.done')) ? nvccIn(cached()) : null;
}

async function fill(folder) {
  const { fetchWheel } = library('download.js');
  const { unpack } = library('unpack.js');
  const { progressLine } = library('progress.js');
  const [python] = library('python.js').pythons(process.env);
  const store = `${folder}.wheels`;
  const part = `${folder}.part`;
  rmSync(part, { recursive: true, force: true });
  for (const path of [store, part]) mkdirSync(path, { recursive: true });
  for (const wheel of WHEELS) {
    const progress = progressLine(`Downloading ${wheel.requirement}`, wheel.bytes);
    try {
      await unpack(python, await fetchWheel(wheel, store, python, process.env, progress), part, wheel.keep);
    } finally {
      progress.end();
    }
  }
  // Python's zipfile drops the right to execute, and nvcc looks for its libraries in lib64.
  const home = join(part, 'nvidia', 'cu13');
  for (const bin of [join(home, 'bin'), join(home, 'nvvm', 'bin')])
    for (const entry of readdirSync(bin, { withFileTypes: true }))
      if (entry.isFile()) chmodSync(join(bin, entry.name), 0o755);
  symlinkSync('lib', join(home, 'lib64'));
  if (versionOf(nvccIn(part))?.[0] !== MAJOR) throw new StepError(`${nvccIn(part)} was unpacked but does not run.`);
  writeFileSync(join(part, '.done'), `${WHEELS.map(({ file, sha256 }) => `${file} ${sha256}`).join('\n')}\n`);
  rmSync(folder, { recursive: true, force: true });
  renameSync(part, folder);
  rmSync(store, { recursive: true, force: true });
}

/** The path of an nvcc, fetched (104 MB, 190 MB on disk) unless one is there. dist/ must be built. */
export async function ensureNvcc() {
  const present = presentNvcc();
  if (present !== null) return present;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new StepError(
      'NVIDIA offers the compiler as wheels for linux-x64 only: install CUDA 13 and name its nvcc in NVCC.',
    );
  }
  const folder = cached();
  mkdirSync(library('places.js').cacheFolder(), { recursive: true });
  const onWait = (pid) => console.error(`Another set-up (process ${pid}) is fetching nvcc; waiting for it.`);
  await withLock(`${folder}.lock`, () => (existsSync(join(folder, '.done')) ? undefined : fill(folder)), { onWait });
  return nvccIn(folder);
}

if (isMain(import.meta)) await main(async () => console.log(await ensureNvcc()));
