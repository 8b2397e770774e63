// From a path to the raw log: open, find the format, read.

import { checkColumns, hasNames, type Columns } from './columns';
import { csvLayout, readCsv } from './csv';
import { refuse } from './failure';
import { detectFormat, type Format } from './formats';
import { jsonlKeys, readJsonl } from './jsonl';
import { ActionLog } from './log';
import { readParquet } from './parquet';
import { plainColumns, readPlain } from './plain';
import { openSource } from './source';

export interface ReadOptions {
  /** Default: found by content, then by name. */
  readonly format?: Format | undefined;
  readonly columns?: Columns | undefined;
  /** Item ids in their public order; an item outside it is an error. */
  readonly catalogue?: readonly string[] | undefined;
}

/** Reads a file in any of the known formats. @throws ERR_DATA_FORMAT with file and line; ERR_INVALID_ARGUMENT. */
export async function readLog(path: string, options: ReadOptions): Promise<ActionLog> {
  const { columns, catalogue } = options;
  checkColumns(columns);
  const source = await openSource(path);
  const format = detectFormat(source, options.format, columns);
  if (format === 'parquet') return readParquet(source, columns, (timed) => new ActionLog(path, catalogue, timed));
  if (format === 'jsonl') {
    const keys = jsonlKeys(source, columns);
    const log = new ActionLog(path, catalogue, keys.timestamp !== undefined);
    await readJsonl(source, keys, log);
    return log;
  }
  if (format === 'csv') {
    const layout = csvLayout(source, columns);
    const log = new ActionLog(path, catalogue, layout.columns.timestamp >= 0);
    await readCsv(source, layout, log);
    return log;
  }
  if (hasNames(columns)) {
    const expected = `a header with the columns ${JSON.stringify(columns)}`;
    refuse({ file: path, line: 1 }, expected, `a file of the form ${format}, which has none; give positions from 0`);
  }
  const log = new ActionLog(path, catalogue, plainColumns(format, columns).timestamp >= 0);
  await readPlain(source, format, columns, log);
  return log;
}
