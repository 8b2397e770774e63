// Reads the line formats in which a quote is an ordinary character: `::`, tab and white space.

// Why not csv-parse here: it knows no runs of white space, it has line numbers only at a quarter of its speed
// (0.65 s a million lines without, 2.7 s with), and "first step within 5 seconds" needs MovieLens-1M in about one.

import { columnsByPosition, fieldsNeeded, type ColumnIndex, type Columns } from './columns';
import { quote, refuse } from './failure';
import { lineBlocks } from './lines';
import type { ActionLog } from './log';
import type { Source } from './source';
import { identifier, time } from './values';

interface Layout {
  readonly separator: string | RegExp;
  readonly shown: string;
  readonly columns: ColumnIndex;
  /** Exactly this many fields, where the caller did not name other columns. */
  readonly fields: number;
}

const LAYOUTS = {
  'ratings.dat': {
    separator: '::',
    shown: 'user::item::rating::timestamp',
    columns: { user: 0, item: 1, timestamp: 3 },
    fields: 4,
  },
  'u.data': {
    separator: '\t',
    shown: 'user, item, rating, timestamp separated by tabs',
    columns: { user: 0, item: 1, timestamp: 3 },
    fields: 4,
  },
  sasrec: {
    separator: /\s+/,
    shown: 'user item separated by white space',
    columns: { user: 0, item: 1, timestamp: -1 },
    fields: 2,
  },
} as const satisfies Record<string, Layout>;

export type PlainFormat = keyof typeof LAYOUTS;

/** The columns that a file of this format has, so that the log knows whether there are times. */
export function plainColumns(format: PlainFormat, columns: Columns | undefined): ColumnIndex {
  return columnsByPosition(columns, LAYOUTS[format].columns);
}

/** @throws ERR_DATA_FORMAT with the line for a wrong number of fields, an empty id or a time that is no number. */
export async function readPlain(
  source: Source,
  format: PlainFormat,
  columns: Columns | undefined,
  log: ActionLog,
): Promise<void> {
  const layout: Layout = LAYOUTS[format];
  const index = plainColumns(format, columns);
  const needed = fieldsNeeded(index);
  const file = source.file;
  for await (const { first, lines } of lineBlocks(source)) {
    for (let k = 0; k < lines.length; k++) {
      const text = lines[k] as string;
      if (text.trim() === '') continue;
      const fields = (format === 'sasrec' ? text.trim() : text).split(layout.separator);
      const line = first + k;
      if (columns === undefined ? fields.length !== layout.fields : fields.length < needed) {
        const expected =
          columns === undefined
            ? `${layout.fields} fields (${layout.shown})`
            : `at least ${needed} fields for the columns given`;
        refuse({ file, line }, expected, `${fields.length}: ${quote(text)}`);
      }
      const when = index.timestamp < 0 ? 0 : time(fields[index.timestamp], file, line);
      log.add(
        identifier(fields[index.user], 'user', file, line),
        identifier(fields[index.item], 'item', file, line),
        when,
        line,
      );
    }
  }
}
