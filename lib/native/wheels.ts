// The Python packages that LibTorch comes from: exact files, their checksums, and the part of each that we keep.

import { TORCH_VERSION } from './places';

/** One wheel. Pinned by checksum: pip decides where it comes from, this table what it must be. */
export interface Wheel {
  /** What pip is asked for, `name==version`. */
  readonly requirement: string;
  /** The file name that this requirement has on linux-x64 for Python 3.11. */
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Members to unpack, as regular expressions over their paths. */
  readonly keep: readonly string[];
}

/**
 * CPU libraries of LibTorch with its headers, and the two CUDA run-time libraries that `libtorch_cpu.so` asks for even
 * where there is no GPU. The rest of the wheels (CUDA kernels, the Python binding, tests) is 660 MB that nothing opens.
 */
export const CPU_WHEELS: readonly Wheel[] = [
  {
    requirement: 'nvidia-cuda-runtime==13.0.96',
    file: 'nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    bytes: 2_243_632,
    sha256: '7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548',
    keep: ['nvidia/cu13/lib/libcudart\\.so\\.13', '.*\\.dist-info/.*(LICENSE|License).*'],
  },
  {
    requirement: 'nvidia-cuda-cupti==13.0.85',
    file: 'nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl',
    bytes: 10_715_597,
    sha256: '4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8',
    keep: ['nvidia/cu13/lib/libcupti\\.so\\.13', '.*\\.dist-info/.*(LICENSE|License).*'],
  },
  {
    requirement: `torch==${TORCH_VERSION}`,
    file: `torch-${TORCH_VERSION}-cp311-cp311-manylinux_2_28_x86_64.whl`,
    bytes: 530_604_548,
    sha256: '7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a',
    keep: [
      'torch/include/.*',
      'torch/lib/(libc10|libtorch_cpu)\\.so',
      'torch/lib/libgomp\\.so\\.1',
      'torch/version\\.py',
      '.*\\.dist-info/.*(LICENSE|NOTICE).*',
    ],
  },
];

/** Disk that an installation takes at its peak: the wheels and what is unpacked from them. */
export const PEAK_BYTES = 1_100_000_000;
