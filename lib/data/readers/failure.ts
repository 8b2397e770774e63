// What a reader says when a file is not what it should be: which file, which line, what was expected, what is there.

import { PhantomgradError } from '../../errors';

export interface Place {
  /** Path of the file, or "rows" for an array in memory. */
  readonly file: string;
  /** 1-based line of a text file, 1-based row of Parquet and of arrays; absent where the whole file is meant. */
  readonly line?: number;
}

/** ERR_DATA_FORMAT with the place in fields, so that callers need not parse the message. */
export class DataFormatError extends PhantomgradError {
  constructor(
    readonly place: Place,
    readonly expected: string,
    readonly found: string,
    cause?: unknown,
  ) {
    const where = place.line === undefined ? place.file : `${place.file}:${place.line}`;
    super(
      'ERR_DATA_FORMAT',
      `${where}: expected ${expected}, found ${found}.`,
      cause === undefined ? undefined : { cause },
    );
  }
}

/** @throws {DataFormatError} always. */
export function refuse(place: Place, expected: string, found: string, cause?: unknown): never {
  throw new DataFormatError(place, expected, found, cause);
}

/** A value as it may stand in a message: text quoted and cut to 60 characters, objects by their kind. */
export function quote(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (value === undefined || value === null) return 'nothing';
  if (typeof value === 'object') return Array.isArray(value) ? 'an array' : 'an object';
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  return `a ${typeof value}`;
}
