// Table-to-text data: a table and the texts that say what it says. E2E NLG (CSV) and DART (JSON).

import { CsvError } from 'csv-parse';

import * as check from '../../check';
import { lineOfRecord, parser } from '../readers/csv';
import { DataFormatError, quote, refuse } from '../readers/failure';
import { openSource, type Source } from '../readers/source';
import { wholeText } from '../readers/utf8';

/** One table with one text, in the order of the file. */
export interface TablePair {
  /** The table as a line of text. */
  readonly source: string;
  readonly reference: string;
}

/** One table with all its texts, in the order in which they first occur. */
export interface Meaning {
  readonly source: string;
  readonly references: readonly string[];
}

/** What a table is called in a line of text, where the file calls it otherwise (Li and Liang 2021). */
const E2E_NAMES: Readonly<Record<string, string>> = {
  eatType: 'Type',
  priceRange: 'price',
  familyFriendly: 'family friendly',
};

/** What a field is called in the line of a table. @param name  As the file calls it. */
export const fieldName = (name: string): string => E2E_NAMES[name] ?? name;

/**
 * `name[The Eagle], eatType[pub]` as `name : The Eagle | Type : pub`, the line of prefix-tuning (Li and Liang 2021, arXiv 2101.00190) that
 * private fine-tuning of GPT-2 reads (Li et al. 2022, arXiv 2110.05679).
 *
 * @returns undefined for text that is not of this form.
 */
export function linearise(meaning: string): string | undefined {
  check.anyText('linearise', { meaning });
  const slots = [...meaning.matchAll(/\s*([^[\],]+?)\s*\[([^\]]*)\]\s*(?:,|$)/gy)];
  if (slots.length === 0 || slots.reduce((sum, [whole]) => sum + whole.length, 0) !== meaning.length) return undefined;
  return slots.map(([, name, value]) => `${fieldName(name!)} : ${value!.trim()}`).join(' | ');
}

/**
 * Reads E2E NLG: CSV with the columns `mr` and `ref`, also gzipped.
 *
 * @throws ERR_DATA_FORMAT (file, line) for other columns, an empty reference or a meaning that is not `name[value], …`.
 * @example const pairs = await data.e2e('trainset.csv');
 */
export async function e2e(path: string): Promise<TablePair[]> {
  const source = await openSource(path);
  const pairs: TablePair[] = [];
  let header: { mr: number; ref: number } | undefined;
  let record = 0;
  try {
    for await (const row of parser(source, ',')) {
      const fields = row as string[];
      const place = { file: path, line: ++record };
      if (header === undefined) {
        header = { mr: fields.indexOf('mr'), ref: fields.indexOf('ref') };
        if (header.mr < 0 || header.ref < 0) refuse(place, 'the columns mr and ref', quote(fields.join(',')));
        continue;
      }
      const [meaning, text] = [fields[header.mr]!, fields[header.ref]!];
      const table =
        linearise(meaning) ?? refuse(place, 'a meaning as in name[The Eagle], eatType[pub]', quote(meaning));
      pairs.push({ source: table, reference: oneLine(text) ?? refuse(place, 'a reference', 'an empty field') });
    }
  } catch (error) {
    return explain(error, source);
  }
  if (pairs.length === 0) refuse({ file: path }, 'tables with references', 'none');
  return pairs;
}

/**
 * Reads DART: a JSON array of `{ tripleset: [[subject, relation, object], …], annotations: [{ text }, …] }`, also gzipped. The line of a
 * table is `subject : relation : object | …`, the relation in small letters, as in prefix-tuning.
 *
 * @throws ERR_DATA_FORMAT (file, and the entry counted from 1 as line) for anything else.
 */
export async function dart(path: string): Promise<TablePair[]> {
  const source = await openSource(path);
  const text = await wholeText(source);
  let entries: unknown;
  try {
    entries = JSON.parse(text);
  } catch (error) {
    return refuse({ file: path }, 'a JSON array', (error as Error).message, error);
  }
  if (!Array.isArray(entries) || entries.length === 0)
    return refuse({ file: path }, 'a JSON array of tables', Array.isArray(entries) ? 'an empty one' : quote(entries));
  return entries.flatMap((entry: unknown, k) => dartPairs(entry, { file: path, line: k + 1 }));
}

/** Puts the references of one table together, wherever they stand in the file. */
export function meanings(pairs: readonly TablePair[]): Meaning[] {
  check.objects('meanings', { pairs });
  const bySource = new Map<string, string[]>();
  for (const { source, reference } of pairs) {
    const references = bySource.get(source);
    if (references === undefined) bySource.set(source, [reference]);
    else references.push(reference);
  }
  return Array.from(bySource, ([source, references]) => ({ source, references }));
}

function dartPairs(entry: unknown, place: { file: string; line: number }): TablePair[] {
  const { tripleset, annotations } = (entry ?? {}) as { tripleset?: unknown; annotations?: unknown };
  const triples = Array.isArray(tripleset) ? (tripleset as unknown[]) : [];
  const isTriple = (triple: unknown): triple is [string, string, string] =>
    Array.isArray(triple) && triple.length === 3 && triple.every((part) => typeof part === 'string');
  if (triples.length === 0 || !triples.every(isTriple))
    return refuse(place, 'a tripleset of [subject, relation, object]', quote(tripleset));
  const source = triples.map(([subject, relation, object]) => `${subject} : ${relation.toLowerCase()} : ${object}`);
  const texts = Array.isArray(annotations) ? (annotations as { text?: unknown }[]) : [];
  if (texts.length === 0) refuse(place, 'annotations with a text', quote(annotations));
  return texts.map(({ text }) => {
    const reference = typeof text === 'string' ? oneLine(text) : undefined;
    return {
      source: source.join(' | '),
      reference: reference ?? refuse(place, 'annotations with a text', quote(text)),
    };
  });
}

// Files that are compared line by line cannot hold a line end inside a text.
function oneLine(text: string): string | undefined {
  const line = text.replace(/\s*[\r\n]+\s*/g, ' ').trim();
  return line === '' ? undefined : line;
}

// A record that was counted becomes the line in which it stands; see readers/csv.ts for why records are counted first.
async function explain(error: unknown, source: Source): Promise<never> {
  if (error instanceof DataFormatError && error.place.line !== undefined) {
    const line = await lineOfRecord(source, ',', error.place.line);
    return refuse({ file: source.file, line }, error.expected, error.found, error);
  }
  if (!(error instanceof CsvError)) throw error;
  const line = Number(error['lines'] ?? 1);
  const expected = 'quoted text with the same number of fields in every line';
  return refuse({ file: source.file, line }, expected, error.message, error);
}
