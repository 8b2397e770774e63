// Reads Parquet through hyparquet, one row group at a time; the packages are loaded only when a Parquet file is met.

import { refuse } from './failure';
import { keysOf } from './jsonl';
import type { Columns } from './columns';
import type { ActionLog } from './log';
import type { Source } from './source';
import { identifier, time } from './values';

/**
 * @param open  Makes the log once it is known whether the file has times.
 * @throws ERR_DATA_FORMAT for a damaged file, missing columns, an empty id or a time that is no number (line = row).
 */
export async function readParquet(
  source: Source,
  columns: Columns | undefined,
  open: (timed: boolean) => ActionLog,
): Promise<ActionLog> {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import('hyparquet');
  const { compressors } = await import('hyparquet-compressors');
  const damaged = (error: unknown): never =>
    refuse({ file: source.file }, 'a readable Parquet file', (error as Error).message, error);

  const file = source.gzip ? await inMemory(source) : await asyncBufferFromFile(source.file);
  const metadata = await parquetMetadataAsync(file).catch(damaged);
  const names = parquetSchema(metadata).children.map((child) => child.element.name);
  const keys = keysOf(names, columns, source.file, 1);
  const log = open(keys.timestamp !== undefined);
  const wanted = [keys.user, keys.item, ...(keys.timestamp === undefined ? [] : [keys.timestamp])];

  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    const rows = await parquetReadObjects({ file, metadata, columns: wanted, rowStart, rowEnd, compressors }).catch(
      damaged,
    );
    rows.forEach((row, k) => {
      const line = rowStart + k + 1;
      const when = keys.timestamp === undefined ? 0 : time(row[keys.timestamp], source.file, line);
      log.add(
        identifier(row[keys.user], 'user', source.file, line),
        identifier(row[keys.item], 'item', source.file, line),
        when,
        line,
      );
    });
    rowStart = rowEnd;
  }
  return log;
}

async function inMemory(source: Source): Promise<ArrayBuffer> {
  const parts: Buffer[] = [];
  for await (const chunk of source.bytes()) parts.push(chunk);
  const whole = Buffer.concat(parts);
  return whole.buffer.slice(whole.byteOffset, whole.byteOffset + whole.length);
}
