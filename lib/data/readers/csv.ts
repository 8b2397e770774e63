// Reads quoted, separated text through csv-parse.

// csv-parse runs four times slower when it counts lines, so it does not; when a record is wrong, a second reading with
// line counting finds where it stands. Good files never pay for that.

import { CsvError, parse } from 'csv-parse';
import { pipeline, Readable } from 'node:stream';
import {
  columnsByName,
  columnsByPosition,
  EXPECTED_NAMES,
  fieldsNeeded,
  hasNames,
  type ColumnIndex,
  type Columns,
} from './columns';
import { DataFormatError, quote, refuse } from './failure';
import { firstLine, separatorOf } from './formats';
import type { ActionLog } from './log';
import type { Source } from './source';
import { utf8 } from './utf8';
import { identifier, time } from './values';

export interface CsvLayout {
  readonly separator: string;
  readonly header: boolean;
  readonly columns: ColumnIndex;
}

/**
 * Finds separator and columns in the first line.
 *
 * @throws ERR_DATA_FORMAT when it names no user and item column and no positions were given: nothing is guessed from values.
 */
export function csvLayout(source: Source, columns: Columns | undefined): CsvLayout {
  const first = firstLine(source);
  const separator =
    separatorOf(first.text) ??
    refuse(
      { file: source.file, line: first.line },
      'fields separated by comma, semicolon, tab or bar',
      quote(first.text),
    );
  if (columns !== undefined && !hasNames(columns))
    return { separator, header: false, columns: columnsByPosition(columns, { user: 0, item: 1, timestamp: -1 }) };
  const names = headerNames(first.text, separator);
  const index = columnsByName(names, columns);
  if (index !== undefined) return { separator, header: true, columns: index };
  const expected =
    columns === undefined
      ? `a header with ${EXPECTED_NAMES}`
      : `a header with the columns ${[columns.user, columns.item, columns.timestamp]
          .filter((name) => (name ?? null) !== null)
          .map(quote)
          .join(', ')}`;
  return refuse(
    { file: source.file, line: first.line },
    expected,
    `${quote(first.text)}; the option columns names them, or gives positions from 0 where there is no header`,
  );
}

function headerNames(text: string, separator: string): string[] {
  return text.split(separator).map((name) => name.trim().replace(/^"(.*)"$/, '$1'));
}

/** @throws ERR_DATA_FORMAT with the line for a wrong number of fields, an open quote, an empty id or a time that is no number. */
export async function readCsv(source: Source, layout: CsvLayout, log: ActionLog): Promise<void> {
  const { columns, header } = layout;
  const needed = fieldsNeeded(columns);
  let record = 0;
  try {
    for await (const row of parser(source, layout.separator)) {
      const fields = row as string[];
      record += 1;
      if (header && record === 1) continue;
      if (fields.length < needed)
        refuse({ file: source.file, line: record }, `at least ${needed} fields`, `${fields.length}`);
      const when = columns.timestamp < 0 ? 0 : time(fields[columns.timestamp], source.file, record);
      log.add(
        identifier(fields[columns.user], 'user', source.file, record),
        identifier(fields[columns.item], 'item', source.file, record),
        when,
        record,
      );
    }
  } catch (error) {
    if (error instanceof DataFormatError && error.place.line !== undefined) {
      const line = await lineOfRecord(source, layout.separator, error.place.line);
      refuse({ file: source.file, line }, error.expected, error.found, error);
    }
    if (error instanceof CsvError)
      refuse(
        { file: source.file, line: Number(error['lines'] ?? 1) },
        'quoted text with the same number of fields in every line',
        error.message,
        error,
      );
    throw error;
  }
}

/** The records of a file as arrays of fields; with `info` each with its place, at a quarter of the speed. */
export function parser(source: Source, delimiter: string, info = false): AsyncIterable<unknown> {
  const options = { delimiter, bom: true, trim: true, skip_empty_lines: true, info };
  const bytes = Readable.from(utf8(source), { objectMode: false, highWaterMark: 1 << 18 });
  // pipeline, unlike pipe, carries errors forward and closes the file when the reader stops early.
  return pipeline(bytes, parse(options), () => undefined);
}

/** The line in which record number `record` (from 1, the header included) ends. */
export async function lineOfRecord(source: Source, separator: string, record: number): Promise<number> {
  for await (const row of parser(source, separator, true)) {
    const { info } = row as { info: { records: number; lines: number } };
    if (info.records === record) return info.lines;
  }
  return record;
}
