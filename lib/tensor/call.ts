// Calls of operators: tensors become handles on the way in, handles become tensors on the way out.

import { types } from 'node:util';

import { PhantomgradError, raise } from '../errors';
import { afterCollection, isExhausted, raiseExhausted } from './exhausted';
import { bridge } from './handles';
import { core, type Handle, type NativeOperator, rethrow } from './native';
import type { Tensor } from './tensor';

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  // One step below the root, whichever realm's root it is.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** The argument as native code takes it: handles for tensors, also inside arrays and keyword objects. */
function lower(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const handle = bridge.tensorHandle(value) ?? bridge.generatorHandle(value);
  if (handle !== undefined) return handle;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object' && item !== null) return value.map(lower);
    return value;
  }
  // Native code refuses these by name; taken for keywords they would be ignored in silence.
  if (ArrayBuffer.isView(value) || types.isExternal(value)) return value;
  if (!isPlainObject(value)) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `an operator takes no ${value.constructor.name}: pass tensors, numbers, strings, arrays or one plain object of keywords.`,
    );
  }
  const keywords: Record<string, unknown> = {};
  for (const key of Object.keys(value)) keywords[key] = lower((value as Record<string, unknown>)[key]);
  return keywords;
}

function raised(result: unknown): unknown {
  if (typeof result !== 'object' || result === null) return result;
  if (Array.isArray(result)) return result.map(raised);
  return bridge.toTensor(result as Handle);
}

// In-place and out= operators return the very handle that they were given: the caller gets its own object back.
function findOwner(handle: unknown, args: readonly unknown[]): Tensor | undefined {
  for (const item of args) {
    if (typeof item !== 'object' || item === null) continue;
    const own = bridge.tensorHandle(item);
    if (own === handle) return item as Tensor;
    if (own === undefined && !Array.isArray(item) && !ArrayBuffer.isView(item)) {
      const inside = findOwner(handle, Object.values(item));
      if (inside !== undefined) return inside;
    }
  }
  return undefined;
}

function recovered(call: () => unknown, error: Error, repeatable: boolean): unknown {
  if (!repeatable) return raiseExhausted(error);
  try {
    return afterCollection(call);
  } catch (again) {
    if (again instanceof PhantomgradError) throw again;
    return rethrow(again);
  }
}

/**
 * Calls `operator`; `writes` says that it may return one of its arguments, `repeatable` that a call that found no memory changed
 * nothing and may be made again. @throws PhantomgradError
 */
export function invoke(
  operator: NativeOperator,
  writes: boolean,
  args: readonly unknown[],
  repeatable = !writes,
): unknown {
  // Outside the try: what a getter of the caller's throws is not ours to translate.
  const [first, second, ...rest] = args.length > 2 ? args.map(lower) : [lower(args[0]), lower(args[1])];
  // Most calls have two arguments: spreading an array for them would cost a tenth of the call.
  const call = (): unknown => (rest.length === 0 ? operator(first, second) : operator(first, second, ...rest));
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    if (!isExhausted(error)) rethrow(error);
    result = recovered(call, error, repeatable);
  }
  if (writes && typeof result === 'object' && result !== null && !Array.isArray(result)) {
    const owner = findOwner(result, args);
    if (owner !== undefined) return owner;
  }
  return raised(result);
}

/** True if an operator of this name, called so, may return one of its arguments. */
export function mayReturnArgument(name: string): boolean {
  return name.endsWith('_') && !name.endsWith('__');
}

/**
 * The operator `name` («phantomgrad::linear») as a function; looked up at its first call, so that making it opens
 * nothing.
 *
 * @throws ERR_INVALID_ARGUMENT at the first call if there is no such operator
 */
export function operator(name: string): (...args: unknown[]) => unknown {
  let found: NativeOperator | undefined;
  const inPlace = mayReturnArgument(name);
  // A gradient book that stopped in the middle does not begin again.
  const stateful = name.startsWith('phantomgrad::book_');
  return (...args) => {
    found ??= core().operator(name) ?? raise('ERR_INVALID_ARGUMENT', `there is no operator ${name}.${suggest(name)}`);
    const writes = inPlace || hasOut(args);
    return invoke(found, writes, args, !writes && !stateful);
  };
}

function hasOut(args: readonly unknown[]): boolean {
  const last = args[args.length - 1];
  return typeof last === 'object' && last !== null && bridge.tensorHandle(last) === undefined && 'out' in last;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; ++i) {
    const next = [i];
    for (let j = 1; j <= b.length; ++j) {
      const replace = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** « Did you mean …?» for a name that does not exist, or nothing when no name is near. */
export function suggest(name: string): string {
  const [namespace = ''] = name.split('::');
  const near = core()
    .operatorNames()
    .filter((other) => other.startsWith(`${namespace}::`) && Math.abs(other.length - name.length) <= 2)
    .map((other) => ({ other, away: distance(other, name) }))
    .filter(({ away }) => away <= 2)
    .sort((a, b) => a.away - b.away)
    .slice(0, 3);
  return near.length === 0 ? '' : ` Did you mean ${near.map(({ other }) => other).join(' or ')}?`;
}
