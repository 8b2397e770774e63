// Reads one JSON object a line.

import { columnsByName, EXPECTED_NAMES, type Columns } from './columns';
import { quote, refuse } from './failure';
import { firstLine } from './formats';
import { lineBlocks } from './lines';
import type { ActionLog } from './log';
import type { Source } from './source';
import { identifier, time } from './values';

/** The keys that hold user, item and time. */
export interface Keys {
  readonly user: string;
  readonly item: string;
  readonly timestamp: string | undefined;
}

/** The keys, found in the first object. @throws ERR_DATA_FORMAT when it has no user and item, and none were given. */
export function jsonlKeys(source: Source, columns: Columns | undefined): Keys {
  const first = firstLine(source);
  return keysOf(Object.keys(object(first.text, source.file, first.line)), columns, source.file, first.line);
}

/** As {@link jsonlKeys}, for a list of names that is already there (Parquet). */
export function keysOf(names: readonly string[], columns: Columns | undefined, file: string, line: number): Keys {
  const index = columnsByName(names, columns);
  if (index === undefined)
    return refuse(
      { file, line },
      columns === undefined ? EXPECTED_NAMES : `the columns ${JSON.stringify(columns)}`,
      `${names.map(quote).join(', ')}; the option columns names them`,
    );
  return { user: names[index.user] as string, item: names[index.item] as string, timestamp: names[index.timestamp] };
}

/** @throws ERR_DATA_FORMAT with the line for text that is not a JSON object, a missing id or a time that is no number. */
export async function readJsonl(source: Source, keys: Keys, log: ActionLog): Promise<void> {
  const file = source.file;
  for await (const { first, lines } of lineBlocks(source)) {
    for (let k = 0; k < lines.length; k++) {
      const text = lines[k] as string;
      if (text.trim() === '') continue;
      const line = first + k;
      const row = object(text, file, line);
      const when = keys.timestamp === undefined ? 0 : time(row[keys.timestamp], file, line);
      log.add(
        identifier(row[keys.user], 'user', file, line),
        identifier(row[keys.item], 'item', file, line),
        when,
        line,
      );
    }
  }
}

function object(text: string, file: string, line: number): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return refuse({ file, line }, 'a JSON object', quote(text), error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse({ file, line }, 'a JSON object', quote(text));
  return value as Record<string, unknown>;
}
