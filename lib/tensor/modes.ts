// Settings and counters of this thread: gradient mode, memory, intra-operator threads.

import * as check from '../check';
import { raise } from '../errors';
import { core, type MemoryInfo } from './native';

export type { MemoryInfo };

function withGrad<T>(enabled: boolean, body: () => T): T {
  check.callable(enabled ? 'enableGrad' : 'noGrad', { body });
  const before = core().gradEnabled();
  core().setGradEnabled(enabled);
  try {
    const result = body();
    if (typeof (result as { then?: unknown } | null | undefined)?.then === 'function') {
      void Promise.resolve(result).catch(() => undefined);
      raise(
        'ERR_INVALID_ARGUMENT',
        'noGrad: the function returned a promise; the mode would end at its first await. Put noGrad around the synchronous parts.',
      );
    }
    return result;
  } finally {
    core().setGradEnabled(before);
  }
}

/**
 * Runs the synchronous `body` without recording gradients, on this thread only.
 * @throws ERR_INVALID_ARGUMENT if it returns a promise
 */
export function noGrad<T>(body: () => T): T {
  return withGrad(false, body);
}

/**
 * Runs the synchronous `body` with gradients recorded, inside a surrounding {@link noGrad}.
 * @throws ERR_INVALID_ARGUMENT if it returns a promise
 */
export function enableGrad<T>(body: () => T): T {
  return withGrad(true, body);
}

export function isGradEnabled(): boolean {
  return core().gradEnabled();
}

/** What this thread's JavaScript holds. A function that cleans up after itself leaves `tensors` as it was. */
export function memory(): MemoryInfo {
  return core().memory();
}

/** Starts a new `memory().peak` at the present bytes. */
export function resetPeakMemory(): void {
  core().resetPeakMemory();
}

/** Threads that one operator may use. */
export function numThreads(): number {
  return core().numThreads();
}

/**
 * Sets the threads that one operator may use, from 1. In a Worker set 1: every thread that computes has its own team.
 */
export function setNumThreads(count: number): void {
  core().setNumThreads(count);
}
