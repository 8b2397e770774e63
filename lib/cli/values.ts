// Values of options as typed on a command line. Ranges are checked where the values are used; here only their form.

import { InvalidArgumentError } from 'commander';

/** A number: `8`, `1e-6`. */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value))
    throw new InvalidArgumentError(`must be a number, got ${JSON.stringify(text)}.`);
  return value;
}

/** Numbers separated by commas: `0.5,0.5,0.5`. */
export function numbers(text: string): number[] {
  return text.split(',').map(number);
}

/** A comma-separated list of ids: `1,5,9`. */
export function list(text: string): string[] {
  const ids = text.split(',').map((id) => id.trim());
  if (ids.includes('')) throw new InvalidArgumentError(`must be ids separated by commas, got ${JSON.stringify(text)}.`);
  return ids;
}
