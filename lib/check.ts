// Argument checks with one sentence form for the whole API: «operation: argument must be …, got …».

import { raise } from './errors';

type Named<T> = Record<string, T>;

function only<T>(argument: Named<T>): [string, T] {
  return Object.entries(argument)[0] as [string, T];
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  // An object without a prototype has no way to be a string.
  return Array.isArray(value) ? 'an array' : `an object of class ${value.constructor?.name ?? 'null'}`;
}

function refuse(operation: string, name: string, expected: string, value: unknown): never {
  return raise('ERR_INVALID_ARGUMENT', `${operation}: ${name} must be ${expected}, got ${show(value)}.`);
}

/** A finite number above 0. @throws ERR_INVALID_ARGUMENT */
export function positive(operation: string, argument: Named<number>): void {
  const [name, value] = only(argument);
  if (!(typeof value === 'number' && Number.isFinite(value) && value > 0))
    refuse(operation, name, 'a finite number above 0', value);
}

/** A finite number of at least 0. @throws ERR_INVALID_ARGUMENT */
export function notNegative(operation: string, argument: Named<number>): void {
  const [name, value] = only(argument);
  if (!(typeof value === 'number' && Number.isFinite(value) && value >= 0))
    refuse(operation, name, 'a finite number of at least 0', value);
}

/** A whole number from `least` to `most` (at most 2^53 - 1). @throws ERR_INVALID_ARGUMENT */
export function integer(operation: string, argument: Named<number>, least = 0, most = Number.MAX_SAFE_INTEGER): void {
  const [name, value] = only(argument);
  if (!(Number.isSafeInteger(value) && value >= least && value <= most)) {
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    refuse(operation, name, `a whole number ${range}`, value);
  }
}

/** A number of at least 0 and below 1. @throws ERR_INVALID_ARGUMENT */
export function share(operation: string, argument: Named<number>): void {
  const [name, value] = only(argument);
  if (!(typeof value === 'number' && value >= 0 && value < 1))
    refuse(operation, name, 'a number of at least 0 and below 1', value);
}

/** A number strictly between `low` and `high`. @throws ERR_INVALID_ARGUMENT */
export function between(operation: string, argument: Named<number>, low: number, high: number): void {
  const [name, value] = only(argument);
  if (!(typeof value === 'number' && value > low && value < high))
    refuse(operation, name, `strictly between ${low} and ${high}`, value);
}

/** A number in (low, high]. @throws ERR_INVALID_ARGUMENT */
export function within(operation: string, argument: Named<number>, low: number, high: number): void {
  const [name, value] = only(argument);
  if (!(typeof value === 'number' && value > low && value <= high))
    refuse(operation, name, `above ${low} and at most ${high}`, value);
}

/** One of the listed values. @throws ERR_INVALID_ARGUMENT that lists them. */
export function oneOf<T>(operation: string, argument: Named<T>, allowed: readonly T[]): void {
  const [name, value] = only(argument);
  if (!allowed.includes(value)) refuse(operation, name, `one of ${allowed.map(show).join(', ')}`, value);
}

/** An object, as options are. @throws ERR_INVALID_ARGUMENT */
export function object(operation: string, argument: Named<object>): void {
  const [name, value] = only(argument);
  if (typeof value !== 'object' || value === null) refuse(operation, name, 'an object', value);
}

/** An array. @throws ERR_INVALID_ARGUMENT */
export function list(operation: string, argument: Named<readonly unknown[]>): void {
  const [name, value] = only(argument);
  if (!Array.isArray(value)) refuse(operation, name, 'an array', value);
}

/** A text that is not empty: a name, or a path. @throws ERR_INVALID_ARGUMENT */
export function text(operation: string, argument: Named<string>): void {
  const [name, value] = only(argument);
  if (typeof value !== 'string' || value === '') refuse(operation, name, 'a text that is not empty', value);
}

/** An object with a `method`; `kind` says what it should be. @throws ERR_INVALID_ARGUMENT */
export function able(operation: string, argument: Named<object>, method: string, kind: string): void {
  const [name, value] = only(argument);
  const has = typeof value === 'object' && value !== null && typeof Reflect.get(value, method) === 'function';
  if (!has) refuse(operation, name, `${kind}, with ${method}()`, value);
}

/** No key beside the `known` ones: an option that nothing reads would be ignored in silence. @throws ERR_INVALID_ARGUMENT */
export function onlyKnown(operation: string, options: object, known: readonly string[]): void {
  object(operation, { options });
  const stranger = Object.keys(options).find((key) => !known.includes(key));
  if (stranger === undefined) return;
  raise('ERR_INVALID_ARGUMENT', `${operation}: there is no option ${stranger}; known are ${known.join(', ')}.`);
}
