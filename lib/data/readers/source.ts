// Opens a data file: gunzips it by its content (not its name) and turns every failure into a sentence about the file.

import { createReadStream, promises as fs } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import * as check from '../../check';
import { refuse, type Place } from './failure';

/** A file that can be read from its start as often as needed. */
export interface Source {
  readonly file: string;
  readonly gzip: boolean;
  /** The first bytes of the content (after gunzip), at most 64 KiB. */
  readonly head: Buffer;
  /** The whole content as chunks of bytes, after gunzip. Failures are thrown as ERR_DATA_FORMAT. */
  bytes(): AsyncGenerator<Buffer>;
}

const CHUNK = 1 << 18;
const HEAD = 1 << 16;
const OF_THE_PATH = new Set(['ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'ENXIO', 'EIO', 'ERR_INVALID_ARG_VALUE']);

/**
 * @throws ERR_DATA_FORMAT when the file is missing, unreadable, a folder, an archive, binary text or empty.
 *   ERR_INVALID_ARGUMENT for what is no path.
 */
export async function openSource(file: string): Promise<Source> {
  check.text('data', { file });
  const magic = await firstBytes(file);
  if (magic.length === 0) refuse({ file }, 'data', 'an empty file');
  if (magic.subarray(0, 4).equals(Buffer.from('PK\u0003\u0004')))
    refuse({ file }, 'a data file', 'a zip archive; unpack it and give the file inside (for MovieLens: ratings.dat)');
  const gzip = magic[0] === 0x1f && magic[1] === 0x8b;
  const bytes = (): AsyncGenerator<Buffer> => read(file, gzip);
  const head = await headOf(bytes());
  if (head.length === 0) refuse({ file }, 'data', 'an empty file inside gzip');
  return { file, gzip, head, bytes };
}

async function firstBytes(file: string): Promise<Buffer> {
  try {
    const handle = await fs.open(file, 'r');
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    return unreadable({ file }, error);
  }
}

async function headOf(chunks: AsyncGenerator<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    size += chunk.length;
    if (size >= HEAD) break; // leaving the loop closes the file
  }
  return Buffer.concat(parts).subarray(0, HEAD);
}

async function* read(file: string, gzip: boolean): AsyncGenerator<Buffer> {
  const disk = createReadStream(file, { highWaterMark: CHUNK });
  let stream: Readable = disk;
  if (gzip) {
    const gunzip = createGunzip({ chunkSize: CHUNK });
    disk.on('error', (error) => gunzip.destroy(error)); // pipe() does not carry errors
    stream = disk.pipe(gunzip);
  }
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    unreadable({ file }, error);
  } finally {
    disk.destroy();
  }
}

/** What the system said of a file, as a sentence; what has nothing to do with the file is thrown as it is. */
export function unreadable(place: Place, error: unknown): never {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') refuse(place, 'a data file', 'no file of that name', error);
  if (code === 'EISDIR') refuse(place, 'a data file', 'a folder', error);
  if (code === 'EACCES' || code === 'EPERM') refuse(place, 'a readable file', 'no permission to read it', error);
  if (code === 'Z_BUF_ERROR')
    refuse(place, 'a complete gzip file', 'one that ends too early (truncated download?)', error);
  if (code?.startsWith('Z_') === true) refuse(place, 'a gzip file', `damaged gzip data (${message})`, error);
  if (OF_THE_PATH.has(code ?? '')) refuse(place, 'a data file', message, error);
  throw error;
}
