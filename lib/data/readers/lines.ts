// Cuts a stream of bytes into lines, thousands at a time, because a promise per line would cost more than the line.

import { refuse } from './failure';
import type { Source } from './source';
import { utf8 } from './utf8';

export interface LineBlock {
  /** 1-based number of the first line of the block. */
  readonly first: number;
  /** Lines without their ends; empty lines are kept, so that numbers stay true. */
  readonly lines: readonly string[];
}

const LONGEST = 1 << 20;

/**
 * The lines of a text file (LF or CRLF, with or without byte-order mark, last line with or without an end).
 *
 * @throws ERR_DATA_FORMAT on bytes that are not UTF-8, a NUL character or a line of more than a million characters: that is not text.
 */
export async function* lineBlocks(source: Source): AsyncGenerator<LineBlock> {
  let rest = '';
  let first = 1;
  for await (const chunk of utf8(source)) {
    const text = chunk.toString('utf8');
    if (text.includes('\0')) refuse({ file: source.file, line: first }, 'text (UTF-8)', 'binary content');
    const lines = (rest + text).split('\n');
    if (first === 1 && lines[0]?.charCodeAt(0) === 0xfeff) lines[0] = lines[0].slice(1);
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST)
      refuse(
        { file: source.file, line: first + lines.length },
        'lines of text',
        'a line of more than a million characters',
      );
    if (lines.length === 0) continue;
    trimEnds(lines);
    yield { first, lines };
    first += lines.length;
  }
  if (rest !== '') {
    const last = [first === 1 && rest.charCodeAt(0) === 0xfeff ? rest.slice(1) : rest];
    trimEnds(last);
    yield { first, lines: last };
  }
}

function trimEnds(lines: string[]): void {
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] as string;
    if (line.endsWith('\r')) lines[i] = line.slice(0, -1);
  }
}
