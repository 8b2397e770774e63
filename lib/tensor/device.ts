// Devices: which there are, and what is said when the one that was asked for is not there.

import * as check from '../check';
import { raise } from '../errors';
import { cudaProblem } from '../native';
import { operator } from './call';

/** Where tensors live and are computed with. */
export type Device = 'cpu' | 'cuda' | `cuda:${number}`;

const count = operator('phantomgrad::cuda_device_count');

/** GPUs that LibTorch can use in this process. */
export function cudaDeviceCount(): number {
  return cudaProblem() === null ? (count() as number) : 0;
}

/**
 * Refuses a device that tensors cannot be made on, before anything is. `cpu` opens nothing.
 *
 * @throws ERR_INVALID_ARGUMENT for a name that is no device. @throws ERR_DEVICE saying what is missing: driver, CUDA libraries, GPU.
 */
export function checkDevice(operation: string, device: string): asserts device is Device {
  check.anyText('checkDevice', { operation });
  check.anyText(operation, { device });
  const [, type, index] = /^(cpu|cuda)(?::(\d+))?$/.exec(device) ?? [];
  if (type === undefined || (type === 'cpu' && index !== undefined)) {
    raise('ERR_INVALID_ARGUMENT', `${operation}: device must be cpu, cuda or cuda:N, got ${JSON.stringify(device)}.`);
  }
  if (type === 'cpu') return;
  const problem = cudaProblem();
  if (problem !== null) {
    raise('ERR_DEVICE', `${operation}: there is no device ${device}: ${problem} What is there: phantomgrad doctor`);
  }
  const there = cudaDeviceCount();
  if (Number(index ?? 0) >= there) {
    const seen = there === 0 ? 'the driver shows no GPU' : `the GPUs are numbered 0 to ${there - 1}`;
    raise('ERR_DEVICE', `${operation}: there is no device ${device}: ${seen}. What is there: phantomgrad doctor`);
  }
}
