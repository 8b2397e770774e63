// What LibTorch's CUDA libraries come from: the wheel of the CPU libraries, more of whose files are kept, and NVIDIA's own wheels.

import { CPU_WHEELS, type Wheel } from './wheels';

const LICENSES = '.*\\.dist-info/.*(LICENSE|License).*';

/** Libraries of the torch wheel that a GPU needs beside those of {@link CPU_WHEELS}. */
const TORCH_LIBRARIES = 'torch/lib/lib(c10_cuda|torch_cuda|torch_cuda_linalg|torch_nvshmem|caffe2_nvrtc)\\.so';

/**
 * What `libtorch_cuda.so` and `libtorch_cuda_linalg.so` name as needed (`readelf -d`), what these name in turn, and the run-time
 * compiler that some operators ask for. The versions are those that the torch wheel's metadata pins.
 */
const NVIDIA: readonly Wheel[] = [
  {
    requirement: 'nvidia-cublas==13.1.0.3',
    file: 'nvidia_cublas-13.1.0.3-py3-none-manylinux_2_27_x86_64.whl',
    bytes: 423_133_236,
    sha256: 'ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171',
    keep: ['nvidia/cu13/lib/libcublas(Lt)?\\.so\\.13', LICENSES],
  },
  {
    requirement: 'nvidia-cuda-nvrtc==13.0.88',
    file: 'nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
    bytes: 90_215_200,
    sha256: 'ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575',
    keep: ['nvidia/cu13/lib/libnvrtc(-builtins)?\\.so\\.13.*', LICENSES],
  },
  {
    requirement: 'nvidia-cudnn-cu13==9.19.0.56',
    file: 'nvidia_cudnn_cu13-9.19.0.56-py3-none-manylinux_2_27_x86_64.whl',
    bytes: 366_066_321,
    sha256: 'd20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf',
    keep: ['nvidia/cudnn/lib/libcudnn.*\\.so\\.9', LICENSES],
  },
  {
    requirement: 'nvidia-cufft==12.0.0.61',
    file: 'nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    bytes: 214_085_489,
    sha256: '6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3',
    keep: ['nvidia/cu13/lib/libcufft\\.so\\.12', LICENSES],
  },
  {
    requirement: 'nvidia-cufile==1.15.1.6',
    file: 'nvidia_cufile-1.15.1.6-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    bytes: 1_223_672,
    sha256: '08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44',
    keep: ['nvidia/cu13/lib/libcufile\\.so\\.0', LICENSES],
  },
  {
    requirement: 'nvidia-curand==10.4.0.35',
    file: 'nvidia_curand-10.4.0.35-py3-none-manylinux_2_27_x86_64.whl',
    bytes: 59_544_258,
    sha256: '1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc',
    keep: ['nvidia/cu13/lib/libcurand\\.so\\.10', LICENSES],
  },
  {
    requirement: 'nvidia-cusolver==12.0.4.66',
    file: 'nvidia_cusolver-12.0.4.66-py3-none-manylinux_2_27_x86_64.whl',
    bytes: 200_941_980,
    sha256: '0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112',
    keep: ['nvidia/cu13/lib/libcusolver\\.so\\.12', LICENSES],
  },
  {
    requirement: 'nvidia-cusparse==12.6.3.3',
    file: 'nvidia_cusparse-12.6.3.3-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    bytes: 145_942_937,
    sha256: '2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b',
    keep: ['nvidia/cu13/lib/libcusparse\\.so\\.12', LICENSES],
  },
  {
    requirement: 'nvidia-cusparselt-cu13==0.8.0',
    file: 'nvidia_cusparselt_cu13-0.8.0-py3-none-manylinux2014_x86_64.whl',
    bytes: 169_884_119,
    sha256: '25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd',
    keep: ['nvidia/cusparselt/lib/libcusparseLt\\.so\\.0', LICENSES],
  },
  {
    requirement: 'nvidia-nccl-cu13==2.28.9',
    file: 'nvidia_nccl_cu13-2.28.9-py3-none-manylinux_2_18_x86_64.whl',
    bytes: 196_493_177,
    sha256: 'e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42',
    keep: ['nvidia/nccl/lib/libnccl\\.so\\.2', LICENSES],
  },
  {
    requirement: 'nvidia-nvjitlink==13.0.88',
    file: 'nvidia_nvjitlink-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
    bytes: 40_713_933,
    sha256: '13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b',
    keep: ['nvidia/cu13/lib/libnvJitLink\\.so\\.13', LICENSES],
  },
  {
    requirement: 'nvidia-nvshmem-cu13==3.4.5',
    file: 'nvidia_nvshmem_cu13-3.4.5-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    bytes: 60_412_546,
    sha256: '290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80',
    keep: ['nvidia/nvshmem/lib/libnvshmem_host\\.so\\.3', LICENSES],
  },
];

/** All wheels of an installation with CUDA: torch last, so that what is asked of it is there when it arrives. */
export const CUDA_WHEELS: readonly Wheel[] = [
  ...NVIDIA,
  ...CPU_WHEELS.map((wheel) =>
    wheel.requirement.startsWith('torch==') ? { ...wheel, keep: [...wheel.keep, TORCH_LIBRARIES] } : wheel,
  ),
];

/** Disk at the peak: the wheels, and the files that are kept of them. */
export const CUDA_PEAK_BYTES = 6_000_000_000;
