// The metrics log: one JSON object a line, appended as it happens, so that a killed run keeps what it had measured.

import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';

/** What JSON has no number for is written as null. */
export type MetricsLine = Readonly<Record<string, string | number | boolean | null>>;

/** Appends to `metrics.jsonl`. */
export class MetricsLog {
  readonly #file: number;
  #open = true;

  /** @param path  Must not exist, a log belongs to one run; unless that run goes on (`append`). */
  constructor(path: string, { append = false }: { readonly append?: boolean } = {}) {
    const torn = append && existsSync(path) && !/(^|\n)$/.test(readFileSync(path, 'utf8'));
    this.#file = openSync(path, append ? 'a' : 'wx');
    if (torn) writeSync(this.#file, '\n'); // a line that the end of the process cut off stays one line
  }

  write(line: MetricsLine): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }

  /** Flushes to disk and closes. Closing twice is allowed. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    fsyncSync(this.#file);
    closeSync(this.#file);
  }
}
