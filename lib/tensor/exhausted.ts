// Out of memory: one collection and one retry, then an error that says what is held and what helps.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { raise } from '../errors';
import { core } from './native';

/** Whether native code found no memory for a tensor, on the host or on a device. */
export function isExhausted(error: unknown): error is Error {
  return (error as { code?: unknown } | null)?.code === 'ERR_OUT_OF_MEMORY';
}

// Tensors that nobody holds any more keep their memory until JavaScript's collector gets to them, and it knows little of devices.
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // Twice: what the first pass finds dead may have held more.
  collect();
  collect();
}

/**
 * Runs `call` again after a collection. LibTorch has given back what it kept in reserve before it reports.
 *
 * @throws ERR_OUT_OF_MEMORY LibTorch's message with its sizes, what this thread holds, and what to do.
 */
export function afterCollection<T>(call: () => T): T {
  collectGarbage();
  try {
    return call();
  } catch (error) {
    if (!isExhausted(error)) throw error;
    return raiseExhausted(error);
  }
}

/** @throws ERR_OUT_OF_MEMORY */
export function raiseExhausted(error: Error): never {
  const { tensors, bytes } = core().memory();
  return raise(
    'ERR_OUT_OF_MEMORY',
    `${error.message} This thread holds ${tensors} tensors of ${Math.round(bytes / 2 ** 20)} MiB together. Lower performance.memoryBudget ` +
      'or the batch size, shorten sequences, free tensors with dispose() or tidy(), or take another device.',
    error,
  );
}
