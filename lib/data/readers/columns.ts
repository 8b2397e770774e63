// Which columns of a table hold user, item and time: by the caller's word, or by the names that public data sets use.

import { raise } from '../../errors';

/** Columns by name (files with a header, JSONL, Parquet) or by 0-based position (files without a header). */
export interface Columns {
  readonly user: string | number;
  readonly item: string | number;
  /** `null`: the file is already in time order. */
  readonly timestamp?: string | number | null;
}

/** Positions of the three columns; `timestamp` is -1 where the file order is the time order. */
export interface ColumnIndex {
  readonly user: number;
  readonly item: number;
  readonly timestamp: number;
}

const NAMES = {
  user: ['user', 'userid', 'uid', 'reviewerid', 'visitorid', 'customerid', 'sessionid', 'session'],
  item: [
    'item',
    'itemid',
    'iid',
    'movieid',
    'movie',
    'asin',
    'parentasin',
    'productid',
    'product',
    'trackid',
    'bookid',
    'artistid',
  ],
  timestamp: ['timestamp', 'time', 'ts', 'unixtime', 'unixreviewtime', 'datetime', 'date', 'createdat'],
} as const;

/** What `columnsByName` looks for, for messages. */
export const EXPECTED_NAMES =
  'a user column (user, user_id, userId …) and an item column (item, item_id, movieId, asin …)';

/** True when the option names columns, so that the file must have a header. */
export function hasNames(columns: Columns | undefined): boolean {
  return (
    columns !== undefined &&
    [columns.user, columns.item, columns.timestamp].some((column) => typeof column === 'string')
  );
}

/** @throws ERR_INVALID_ARGUMENT where names and positions are mixed, or a position is not a whole number of at least 0. */
export function checkColumns(columns: Columns | undefined): void {
  if (columns === undefined) return;
  const given = [columns.user, columns.item, ...((columns.timestamp ?? null) === null ? [] : [columns.timestamp])];
  const names = given.every((column) => typeof column === 'string' && column !== '');
  const positions = given.every((column) => Number.isSafeInteger(column) && (column as number) >= 0);
  if (!names && !positions) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `interactions: columns must be all names or all positions from 0, got ${JSON.stringify(columns)}. Names are for files with a header, positions for files without.`,
    );
  }
}

// user_id:token (RecBole), "User ID" and userId are the same name.
function normal(name: string): string {
  return name
    .replace(/:[a-z_]+$/i, '')
    .replace(/[^a-z0-9]/gi, '')
    .toLowerCase();
}

/**
 * Finds the columns in a list of names.
 *
 * @returns undefined when there is no user or no item column: the list is then not a header that we understand.
 */
export function columnsByName(header: readonly string[], columns?: Columns): ColumnIndex | undefined {
  const find = (role: keyof typeof NAMES): number => {
    const wanted = columns?.[role];
    if (typeof wanted === 'string') return header.findIndex((name) => name.trim() === wanted);
    if (columns !== undefined) return -1;
    for (const known of NAMES[role]) {
      const at = header.findIndex((name) => normal(name) === known);
      if (at >= 0) return at;
    }
    return -1;
  };
  const index = { user: find('user'), item: find('item'), timestamp: find('timestamp') };
  const lost = typeof columns?.timestamp === 'string' && index.timestamp < 0;
  return index.user < 0 || index.item < 0 || lost ? undefined : index;
}

/** Positions as given by the caller, or those of a known layout. */
export function columnsByPosition(columns: Columns | undefined, layout: ColumnIndex): ColumnIndex {
  if (columns === undefined) return layout;
  return {
    user: columns.user as number,
    item: columns.item as number,
    timestamp: (columns.timestamp as number | null | undefined) ?? -1,
  };
}

/** The number of fields that a line needs so that every used column exists. */
export function fieldsNeeded(index: ColumnIndex): number {
  return Math.max(index.user, index.item, index.timestamp) + 1;
}
