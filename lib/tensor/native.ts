// The native surface as TypeScript sees it: csrc/node/module.cc, function by function, with errors of our own class.

import { ERROR_CODES, type ErrorCode, raise } from '../errors';
import { native } from '../native';
import type { DType } from './dtype';

/** What JavaScript holds of a native tensor or generator: an External. Only native code can look inside. */
export type Handle = object & { readonly __handle: unique symbol };

/** An operator of the dispatcher: positional arguments, then perhaps one object of keywords. */
export type NativeOperator = (...args: unknown[]) => unknown;

/**
 * One overload, as {@link Native.schemas} lists it. `unbindable` says why JavaScript cannot call it; empty if it can.
 */
export interface OverloadListing {
  readonly overload: string;
  readonly schema: string;
  readonly unbindable: string;
  readonly params: readonly {
    readonly name: string;
    readonly type: string;
    readonly keyword: boolean;
    readonly required: boolean;
    readonly writes: boolean;
  }[];
  readonly returns: readonly string[];
}

/** Handles and bytes that this thread's JavaScript holds. */
export interface MemoryInfo {
  /** Live tensor objects: neither disposed nor collected. */
  readonly tensors: number;
  /** Bytes of the storages behind them; views of one storage count once. */
  readonly bytes: number;
  /** The largest `bytes` so far, or since `resetPeakMemory()`. */
  readonly peak: number;
}

export interface Native {
  operator(name: string): NativeOperator | undefined;
  operatorNames(): string[];
  methodNames(): string[];
  schemas(name: string): OverloadListing[];

  fromTypedArray(array: ArrayBufferView, shape: readonly number[], dtype: DType): Handle;
  toTypedArray(self: Handle): ArrayBufferView;
  item(self: Handle): number | bigint;
  dispose(self: Handle): void;

  shape(self: Handle): number[];
  dtype(self: Handle): DType;
  device(self: Handle): string;
  numel(self: Handle): number;

  isLeaf(self: Handle): boolean;
  requiresGrad(self: Handle): boolean;
  grad(self: Handle): Handle | null;
  setGrad(self: Handle, grad: Handle | null): void;
  backward(self: Handle, gradient: Handle | null, retainGraph: boolean, createGraph: boolean): void;
  gradEnabled(): boolean;
  setGradEnabled(enabled: boolean): void;

  memory(): MemoryInfo;
  resetPeakMemory(): void;
  numThreads(): number;
  setNumThreads(count: number): void;
  manualSeed(seed: number | bigint): void;
  generator(seed: number | bigint): Handle;

  share(self: Handle): number;
  fromShared(token: number): Handle;
}

/**
 * Throws `error`, which native code made, as a {@link PhantomgradError} with the same code.
 *
 * Native errors are made in Node's main realm; inside a vm context (Jest) they are not `instanceof Error`.
 */
export function rethrow(error: unknown): never {
  const { code, message } = error as { code?: string; message?: string };
  const known = code !== undefined && code in ERROR_CODES ? (code as ErrorCode) : 'ERR_TORCH';
  return raise(known, message ?? String(error));
}

function guarded<F extends (...args: never[]) => unknown>(body: F): F {
  return ((...args: Parameters<F>) => {
    try {
      return body(...args);
    } catch (error) {
      return rethrow(error);
    }
  }) as F;
}

let opened: Native | undefined;
const listeners: ((core: Native) => void)[] = [];

/** Calls `listener` once, when the native side has been opened. */
export function whenOpened(listener: (core: Native) => void): void {
  if (opened === undefined) listeners.push(listener);
  else listener(opened);
}

/** The native functions. The first call opens LibTorch. @throws what `native()` throws */
export function core(): Native {
  if (opened !== undefined) return opened;
  const raw = native() as Record<string, (...args: never[]) => unknown>;
  opened = Object.fromEntries(Object.entries(raw).map(([name, body]) => [name, guarded(body)])) as unknown as Native;
  for (const listener of listeners.splice(0)) listener(opened);
  return opened;
}
