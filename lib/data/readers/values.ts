// What may stand in the three columns of an interaction log: any id, and a time that is a number or an ISO date.

import { quote, refuse } from './failure';

/**
 * A user or item id as text. Numbers and big integers count as ids: 5 and "5" are the same item in every format. A whole number beyond 2^53 may
 * be another one that was rounded, and two users would become one: such ids must be text or big integers.
 */
export function identifier(value: unknown, what: 'user' | 'item', file: string, line: number): string {
  if (typeof value === 'string' && value !== '') return value;
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isFinite(value))) {
    if (typeof value === 'bigint' || !Number.isInteger(value) || Number.isSafeInteger(value)) return String(value);
    return refuse(
      { file, line },
      `${what === 'user' ? 'a user' : 'an item'} id beyond 2^53 as text`,
      `the number ${value}`,
    );
  }
  return refuse(
    { file, line },
    what === 'user' ? 'a user id' : 'an item id',
    value === '' ? 'an empty field' : quote(value),
  );
}

const ISO_DATE = /^\d{4}-\d{2}-\d{2}/;

/** A time as a number that sorts. Seconds, milliseconds or ISO dates: only the order matters, so units stay as they are. */
export function time(value: unknown, file: string, line: number): number {
  const number = parse(value);
  if (Number.isFinite(number)) return number;
  return refuse({ file, line }, 'a timestamp (a number or an ISO date such as 2001-02-03T04:05:06Z)', quote(value));
}

function parse(value: unknown): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Date) return value.getTime();
  if (typeof value !== 'string') return NaN;
  const text = value.trim();
  if (text === '') return NaN; // Number('') is 0: an empty field would become the earliest time
  return ISO_DATE.test(text) ? Date.parse(text) : Number(text);
}
