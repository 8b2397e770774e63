// Values of named fields out of a table and its text, and back in: what a small model would have to spell, it only has to place.
//
// Delexicalisation is as old as the task (Wen et al. 2015, arXiv 1508.01745; the baseline of the E2E challenge): a name that occurs in no
// training text cannot be learned from one. Each pair is changed by itself, so ε is that of training on the pairs as they are.

import * as check from '../../check';
import { fieldName } from './tables';

/** A field of a table, and what stands for its value. */
interface Hidden {
  readonly value: string;
  readonly placeholder: string;
}

const SEPARATOR = ' | ';

/** `[field, value]` of a table's line, in their order; fields that are no `name : value` have no value. */
function fieldsOf(source: string): (readonly [field: string, value: string | undefined])[] {
  return source.split(SEPARATOR).map((part) => {
    const at = part.indexOf(' : ');
    return at < 0 ? [part, undefined] : [part.slice(0, at), part.slice(at + 3)];
  });
}

const placeholderOf = (field: string): string => field.toUpperCase().replaceAll(' ', '_');

function hiddenIn(source: string, names: readonly string[]): Hidden[] {
  const fields = new Set(names.map(fieldName));
  return fieldsOf(source).flatMap(([field, value]) =>
    fields.has(field) && value !== undefined && value !== '' ? [{ value, placeholder: placeholderOf(field) }] : [],
  );
}

// In one pass, so that nothing is looked for in what was put in; the longest first, as a name may hold another one.
function replaceAll(text: string, pairs: readonly (readonly [from: string, to: string])[]): string {
  if (pairs.length === 0) return text;
  const to = new Map([...pairs].reverse()); // the first field of equal values
  const longest = [...to.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longest.map((from) => from.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|'), 'g');
  return text.replace(pattern, (from) => to.get(from) as string);
}

/**
 * The line of a table with placeholders for the values of fields: `name : NAME | Type : pub`.
 *
 * @param names  Fields as the file calls them: `['name', 'near']`.
 */
export function delexicaliseTable(source: string, names: readonly string[]): string {
  check.anyText('delexicaliseTable', { source });
  check.texts('delexicaliseTable', { names });
  const fields = new Set(names.map(fieldName));
  return fieldsOf(source)
    .map(([field, value]) =>
      value === undefined ? field : `${field} : ${fields.has(field) && value !== '' ? placeholderOf(field) : value}`,
    )
    .join(SEPARATOR);
}

/** A text about the table `source` with placeholders for the values that it repeats letter by letter. */
export function delexicaliseText(text: string, source: string, names: readonly string[]): string {
  checkTexts('delexicaliseText', text, source, names);
  return replaceAll(
    text,
    hiddenIn(source, names).map(({ value, placeholder }) => [value, placeholder]),
  );
}

/**
 * Puts the values of the table `source` in the place of their placeholders.
 *
 * @example relexicalise('NAME is near NEAR.', 'name : The Eagle | near : Burger King', ['name', 'near'])  // 'The Eagle is near Burger King.'
 */
export function relexicalise(text: string, source: string, names: readonly string[]): string {
  checkTexts('relexicalise', text, source, names);
  return replaceAll(
    text,
    hiddenIn(source, names).map(({ value, placeholder }) => [placeholder, value]),
  );
}

function checkTexts(operation: string, text: string, source: string, names: readonly string[]): void {
  check.anyText(operation, { text });
  check.anyText(operation, { source });
  check.texts(operation, { names });
}
