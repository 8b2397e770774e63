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

/** A text, which may be empty. @throws ERR_INVALID_ARGUMENT */
export function anyText(operation: string, argument: Named<string>): void {
  const [name, value] = only(argument);
  if (typeof value !== 'string') refuse(operation, name, 'a text', value);
}

/** A function. @throws ERR_INVALID_ARGUMENT */
export function callable(operation: string, argument: Named<unknown>): void {
  const [name, value] = only(argument);
  if (typeof value !== 'function') refuse(operation, name, 'a function', value);
}

/** An array, or a typed array. What it holds is not looked at. @throws ERR_INVALID_ARGUMENT */
export function row(operation: string, argument: Named<ArrayLike<unknown>>): void {
  const [name, value] = only(argument);
  if (!Array.isArray(value) && (!ArrayBuffer.isView(value) || value instanceof DataView))
    refuse(operation, name, 'an array or a typed array', value);
}

/** An array of objects. @throws ERR_INVALID_ARGUMENT naming the first place that holds something else */
export function objects(operation: string, argument: Named<readonly object[]>): void {
  list(operation, argument);
  const [name, value] = only(argument);
  value.forEach((item, k) => object(operation, { [`${name}[${k}]`]: item }));
}

/** An array of texts. @throws ERR_INVALID_ARGUMENT naming the first place that holds something else */
export function texts(operation: string, argument: Named<readonly string[]>): void {
  list(operation, argument);
  const [name, value] = only(argument);
  value.forEach((item, k) => anyText(operation, { [`${name}[${k}]`]: item }));
}

/** An object with a `method`; `kind` says what it should be. @throws ERR_INVALID_ARGUMENT */
export function able(operation: string, argument: Named<object>, method: string | symbol, kind: string): void {
  const [name, value] = only(argument);
  const has = typeof value === 'object' && value !== null && typeof Reflect.get(value, method) === 'function';
  if (has) return;
  refuse(operation, name, typeof method === 'symbol' ? kind : `${kind}, with ${method}()`, value);
}

/** No key beside the `known` ones: an option that nothing reads would be ignored in silence. @throws ERR_INVALID_ARGUMENT */
export function onlyKnown(operation: string, options: object, known: readonly string[]): void {
  object(operation, { options });
  const stranger = Object.keys(options).find((key) => !known.includes(key));
  if (stranger === undefined) return;
  raise('ERR_INVALID_ARGUMENT', `${operation}: there is no option ${stranger}; known are ${known.join(', ')}.`);
}
