// The metrics log: one JSON object a line, appended as it happens, so that a killed run keeps what it had measured.

import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';

import { raise } from '../errors';

/** What JSON has no number for is written as null. */
export type MetricsLine = Readonly<Record<string, string | number | boolean | null>>;

// A line that the end of the process cut off stays one line.
function continued(path: string): number {
  const torn = existsSync(path) && !/(^|\n)$/.test(readFileSync(path, 'utf8'));
  const file = openSync(path, 'a');
  if (torn) writeSync(file, '\n');
  return file;
}

/** Appends to `metrics.jsonl`. */
export class MetricsLog {
  readonly #path: string;
  /** Undefined until something is written to a log that goes on; null when closed. */
  #file: number | null | undefined;

  /** @param path  Must not exist, a log belongs to one run; unless that run goes on (`append`): then it is not touched before the first line. */
  constructor(path: string, { append = false }: { readonly append?: boolean } = {}) {
    this.#path = path;
    if (!append) this.#file = openSync(path, 'wx');
  }

  /** @throws ERR_INVALID_ARGUMENT after close */
  write(line: MetricsLine): void {
    if (this.#file === null) return raise('ERR_INVALID_ARGUMENT', `${this.#path}: the log is closed.`);
    this.#file ??= continued(this.#path);
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }

  /** Flushes to disk and closes. Closing twice is allowed. */
  close(): void {
    const file = this.#file ?? null;
    this.#file = null;
    if (file === null) return;
    fsyncSync(file);
    closeSync(file);
  }
}
