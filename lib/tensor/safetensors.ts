// The safetensors format: named arrays behind a JSON header, read with every bound checked before anything is touched.

import { raise } from '../errors';

/** Element types that we read and write, with their size in bytes. */
export const ELEMENT_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

export type ElementType = keyof typeof ELEMENT_BYTES;

/** One array: row-major, little-endian. */
export interface StoredArray {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  /** As many bytes as shape and dtype say. After reading: a view of the file's bytes, not aligned. */
  readonly bytes: Uint8Array;
}

export interface Safetensors {
  readonly arrays: ReadonlyMap<string, StoredArray>;
  /** Free text by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

const METADATA = '__metadata__';
const PREFIX = 8; // the header's length, uint64
const MOST_HEADER = 100_000_000; // the limit of the reference implementation

/**
 * The bytes of a file. Wider types come first and names are sorted within a type, so that arrays are aligned and equal content
 * gives equal bytes; the header is padded to a multiple of 8.
 *
 * @throws ERR_INVALID_ARGUMENT when an array's bytes do not fit its shape, or a name is `__metadata__`.
 */
export function encodeSafetensors({ arrays, metadata }: Safetensors): Uint8Array {
  const sorted = [...arrays].sort(
    ([a, { dtype: x }], [b, { dtype: y }]) => ELEMENT_BYTES[y] - ELEMENT_BYTES[x] || (a < b ? -1 : 1),
  );
  const header = Object.create(null) as Record<string, unknown>; // an array may be called __proto__
  if (Object.keys(metadata).length > 0) header[METADATA] = metadata;
  let end = 0;
  for (const [name, { dtype, shape, bytes }] of sorted) {
    if (name === METADATA) raise('ERR_INVALID_ARGUMENT', `encodeSafetensors: ${METADATA} cannot name an array.`);
    if (bytes.byteLength !== byteLength(dtype, shape)) {
      raise(
        'ERR_INVALID_ARGUMENT',
        `encodeSafetensors: ${name} must have ${byteLength(dtype, shape)} bytes for ${dtype} [${shape.join(', ')}], got ${bytes.byteLength}.`,
      );
    }
    header[name] = { dtype, shape, data_offsets: [end, (end += bytes.byteLength)] };
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const headerLength = Math.ceil(text.byteLength / 8) * 8;
  const file = new Uint8Array(PREFIX + headerLength + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerLength), true);
  file.fill(0x20, PREFIX, PREFIX + headerLength);
  file.set(text, PREFIX);
  let at = PREFIX + headerLength;
  for (const [, { bytes }] of sorted) {
    file.set(bytes, at);
    at += bytes.byteLength;
  }
  return file;
}

/**
 * Reads a file's bytes. What is not exactly a safetensors file is refused: a header beyond the file, unknown element types, offsets
 * that overlap, leave a gap, or disagree with the shape.
 *
 * @param file  Name for messages.
 * @throws ERR_DATA_FORMAT
 */
export function decodeSafetensors(bytes: Uint8Array, file: string): Safetensors {
  const refuse = (what: string): never => raise('ERR_DATA_FORMAT', `${file}: not a safetensors file: ${what}.`);
  if (bytes.byteLength < PREFIX) return refuse(`${bytes.byteLength} bytes are too few`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > MOST_HEADER) return refuse(`its header would have ${length} bytes`);
  const start = PREFIX + Number(length);
  if (start > bytes.byteLength) return refuse(`its header ends at byte ${start} of ${bytes.byteLength}`);
  const header = parseHeader(bytes.subarray(PREFIX, start), refuse);

  const arrays = new Map<string, StoredArray>();
  const ranges: [begin: number, end: number, name: string][] = [];
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === METADATA) {
      metadata = parseMetadata(entry, refuse);
      continue;
    }
    const { dtype, shape, begin, end } = parseEntry(name, entry, refuse);
    if (end > bytes.byteLength - start) return refuse(`${name} ends at byte ${end} of ${bytes.byteLength - start}`);
    arrays.set(name, { dtype, shape, bytes: bytes.subarray(start + begin, start + end) });
    ranges.push([begin, end, name]);
  }
  // Two names for the same bytes, or bytes without a name, are how one file can mean two things.
  ranges.sort(([a, b], [c, d]) => a - c || b - d);
  let covered = 0;
  for (const [begin, end, name] of ranges) {
    if (begin !== covered) return refuse(`${name} begins at byte ${begin} where ${covered} was due`);
    covered = end;
  }
  if (covered !== bytes.byteLength - start) {
    return refuse(`its arrays end at byte ${covered} of ${bytes.byteLength - start}`);
  }
  return { arrays, metadata };
}

type Refuse = (what: string) => never;

function parseHeader(text: Uint8Array, refuse: Refuse): Record<string, unknown> {
  if (text[0] !== 0x7b) return refuse('its header does not begin with {');
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text)) as Record<string, unknown>;
  } catch {
    return refuse('its header is not JSON');
  }
}

function parseMetadata(entry: unknown, refuse: Refuse): Record<string, string> {
  if (!isObject(entry)) return refuse(`${METADATA} is not an object`);
  for (const [key, value] of Object.entries(entry)) {
    if (typeof value !== 'string') return refuse(`the metadata ${JSON.stringify(key)} is not text`);
  }
  return entry as Record<string, string>;
}

function parseEntry(
  name: string,
  entry: unknown,
  refuse: Refuse,
): { dtype: ElementType; shape: number[]; begin: number; end: number } {
  if (!isObject(entry)) return refuse(`${name} is not an object`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !Object.hasOwn(ELEMENT_BYTES, dtype)) {
    const known = Object.keys(ELEMENT_BYTES).join(', ');
    return refuse(`${name} has the type ${JSON.stringify(dtype)}, which is none of ${known}`);
  }
  if (!isIndexArray(shape)) return refuse(`${name} has no valid shape`);
  if (!isIndexArray(offsets) || offsets.length !== 2) return refuse(`${name} has no valid data_offsets`);
  const [begin, end] = offsets as [number, number];
  const expected = byteLength(dtype as ElementType, shape);
  if (end - begin !== expected) {
    return refuse(`${name} has ${end - begin} bytes where ${dtype} [${shape.join(', ')}] needs ${expected}`);
  }
  return { dtype: dtype as ElementType, shape, begin, end };
}

function byteLength(dtype: ElementType, shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, ELEMENT_BYTES[dtype]);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isIndexArray(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((entry) => Number.isSafeInteger(entry) && (entry as number) >= 0);
}
