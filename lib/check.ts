// Argument checks with one sentence form for the whole API: «operation: argument must be …, got …».

import { raise } from './errors';

type Named<T> = Record<string, T>;

function only<T>(argument: Named<T>): [string, T] {
  return Object.entries(argument)[0] as [string, T];
}

function show(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
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

/** No key beside the `known` ones: an option that nothing reads would be ignored in silence. @throws ERR_INVALID_ARGUMENT */
export function onlyKnown(operation: string, options: object, known: readonly string[]): void {
  const stranger = Object.keys(options).find((key) => !known.includes(key));
  if (stranger === undefined) return;
  raise('ERR_INVALID_ARGUMENT', `${operation}: there is no option ${stranger}; known are ${known.join(', ')}.`);
}
