// The bytes of a text file, checked to be UTF-8: decoders put one and the same mark for whatever they cannot read, and ids that
// differ would become one.

import { isUtf8 } from 'node:buffer';

import { refuse } from './failure';
import type { Source } from './source';

/**
 * The content in pieces that end between two characters.
 *
 * @throws ERR_DATA_FORMAT with the line for bytes that are not UTF-8, such as those of Latin-1.
 */
export async function* utf8(source: Source): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source.bytes()) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const whole = bytes.subarray(0, bytes.length - unfinished(bytes));
    if (!isUtf8(whole)) await refuseLine(source);
    rest = bytes.subarray(whole.length);
    if (whole.length > 0) yield whole;
  }
  if (rest.length > 0) await refuseLine(source);
}

/** The whole content, without a byte-order mark. @throws ERR_DATA_FORMAT as {@link utf8} */
export async function wholeText(source: Source): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of utf8(source)) parts.push(part);
  return Buffer.concat(parts)
    .toString('utf8')
    .replace(/^\uFEFF/, '');
}

/** How many bytes at the end begin a character that they do not finish: 0 to 3. */
function unfinished(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return back < lengthOf(byte) ? back : 0;
  }
  return 0;
}

const lengthOf = (lead: number): number => (lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2);

// Lines are counted in a second reading, which good files never pay for.
async function refuseLine(source: Source): Promise<never> {
  let line = 1;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source.bytes()) {
    const bytes = Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      if (!isUtf8(bytes.subarray(start, end))) return complain(source.file, line);
      line += 1;
      start = end + 1;
    }
    rest = bytes.subarray(start);
  }
  return complain(source.file, line);
}

function complain(file: string, line: number): never {
  return refuse({ file, line }, 'text (UTF-8)', 'bytes of another encoding');
}
