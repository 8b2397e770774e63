// Which format a file has: by the caller's word, else by its content, with the name deciding what content cannot.

import * as check from '../../check';
import { columnsByName, type Columns } from './columns';
import { quote, refuse } from './failure';
import type { Source } from './source';

/**
 * The formats that can be read, each also gzipped.
 *
 * - `ratings.dat`: `user::item::rating::time` (MovieLens-1M, 10M)
 * - `u.data`: `user TAB item TAB rating TAB time` (MovieLens-100K)
 * - `csv`: quoted text with a header, separated by comma, semicolon, tab or bar
 * - `jsonl`: one JSON object a line
 * - `parquet`: Apache Parquet
 * - `sasrec`: `user item`, separated by white space, already in time order
 */
export type Format = (typeof FORMATS)[number];

export const FORMATS = ['ratings.dat', 'u.data', 'csv', 'jsonl', 'parquet', 'sasrec'] as const;

const SEPARATORS = [',', ';', '\t', '|'] as const;

/** @throws ERR_DATA_FORMAT when neither name nor content says what the file is. */
export function detectFormat(source: Source, format: Format | undefined, columns: Columns | undefined): Format {
  const magic = source.head.subarray(0, 4).toString('latin1') === 'PAR1';
  if (format !== undefined) {
    check.oneOf('interactions', { format }, FORMATS);
    if (format === 'parquet' && !magic)
      refuse(
        { file: source.file },
        'a Parquet file (it starts with PAR1)',
        quote(source.head.subarray(0, 4).toString('latin1')),
      );
    return format;
  }
  if (magic) return 'parquet';
  const extension = /\.([a-z0-9]+)(\.gz)?$/i.exec(source.file)?.[1]?.toLowerCase();
  if (extension === 'parquet')
    refuse(
      { file: source.file },
      'a Parquet file (it starts with PAR1)',
      quote(source.head.subarray(0, 4).toString('latin1')),
    );
  if (source.head.includes(0)) refuse({ file: source.file, line: 1 }, 'text (UTF-8) or Parquet', 'binary content');
  if (extension === 'jsonl' || extension === 'ndjson') return 'jsonl';
  if (extension === 'csv') return 'csv';
  return byFirstLine(source.file, firstLine(source), columns);
}

function byFirstLine(file: string, first: { line: number; text: string }, columns: Columns | undefined): Format {
  const { text } = first;
  if (text.startsWith('{')) return 'jsonl';
  if (text.includes('::')) return 'ratings.dat';
  const separator = separatorOf(text);
  if (separator !== undefined && columnsByName(text.split(separator).map(unquote), columns) !== undefined) return 'csv';
  if (text.trim().split(/\s+/).length === 2 && !/[,;|]/.test(text)) return 'sasrec';
  if (separator === '\t') return 'u.data';
  if (separator !== undefined) return 'csv';
  return refuse(
    { file, line: first.line },
    'user::item::rating::time, tab-separated user item rating time, "user item", CSV with a header, JSON lines or Parquet',
    `${quote(text)}; give the option format (${FORMATS.join(', ')})`,
  );
}

/** The first line that is not blank, without its byte-order mark. @throws ERR_DATA_FORMAT when there is none. */
export function firstLine(source: Source): { line: number; text: string } {
  const lines = source.head
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/);
  const at = lines.findIndex((line) => line.trim() !== '');
  if (at < 0) refuse({ file: source.file }, 'interactions', 'only blank lines');
  return { line: at + 1, text: lines[at] as string };
}

/** The separator that occurs most often, or undefined where none occurs. */
export function separatorOf(text: string): string | undefined {
  let best: string | undefined;
  let most = 0;
  for (const separator of SEPARATORS) {
    const count = text.split(separator).length - 1;
    if (count > most) [best, most] = [separator, count];
  }
  return best;
}

function unquote(field: string): string {
  return field.trim().replace(/^"(.*)"$/, '$1');
}
