// Takes interactions that are already in memory, under the same rules as a file.

import { quote, refuse } from './failure';
import type { ActionLog } from './log';
import { identifier, time } from './values';

/** One action: an object, or `[user, item]` or `[user, item, timestamp]`. */
export type Row =
  | {
      readonly user: string | number | bigint;
      readonly item: string | number | bigint;
      readonly timestamp?: string | number | bigint | Date;
    }
  | readonly [
      user: string | number | bigint,
      item: string | number | bigint,
      timestamp?: string | number | bigint | Date,
    ];

type Fields = { user?: unknown; item?: unknown; timestamp?: unknown };

/** Whether the rows have times: all of them or none. The first row decides, {@link readRows} checks the others. */
export function rowsAreTimed(rows: readonly Row[]): boolean {
  return rows.length > 0 && fieldsOf(rows[0], 1).timestamp !== undefined;
}

/** @throws ERR_DATA_FORMAT with the row (from 1) for a missing id or a time that is no number. */
export function readRows(rows: readonly Row[], log: ActionLog): void {
  const timed = log.time !== undefined;
  rows.forEach((row, k) => {
    const { user, item, timestamp } = fieldsOf(row, k + 1);
    if (!timed && timestamp !== undefined) {
      refuse({ file: log.file, line: k + 1 }, 'no timestamp, because the first row has none', quote(timestamp));
    }
    const when = timed ? time(timestamp, log.file, k + 1) : 0;
    log.add(identifier(user, 'user', log.file, k + 1), identifier(item, 'item', log.file, k + 1), when, k + 1);
  });
}

function fieldsOf(row: unknown, line: number): Fields {
  if (Array.isArray(row)) {
    const [user, item, timestamp] = row as unknown[];
    return { user, item, timestamp };
  }
  if (typeof row === 'object' && row !== null) return row;
  return refuse({ file: 'rows', line }, '{ user, item, timestamp } or [user, item, timestamp]', quote(row));
}
