// One progress line: rewritten in place on a terminal, repeated every few seconds elsewhere.

export interface Progress {
  /** `done` of the total, in bytes or any other unit. */
  update(done: number): void;
  /** Closes the line. Later calls do nothing. */
  end(): void;
}

const LINE_EVERY_MS = 5_000;

/** A progress line for `total` bytes on standard error, so that standard output stays clean for `--json`. */
export function progressLine(label: string, total: number, stream: NodeJS.WriteStream = process.stderr): Progress {
  const started = Date.now();
  let printed = 0;
  let shown = -1;
  let last = -1;
  const text = (done: number): string => {
    const seconds = (Date.now() - started) / 1000;
    const rate = seconds > 0 ? done / seconds : 0;
    const left = rate > 0 && done < total ? `, ${Math.ceil((total - done) / rate)} s left` : '';
    return `${label}: ${(done / 1e6).toFixed(0)} of ${(total / 1e6).toFixed(0)} MB (${Math.floor((100 * done) / total)} %)${left}`;
  };
  return {
    update(done) {
      last = done;
      if (stream.isTTY) stream.write(`\r\x1b[K${text(done)}`);
      else if (Date.now() - printed >= LINE_EVERY_MS) {
        printed = Date.now();
        shown = done;
        stream.write(`${text(done)}\n`);
      }
    },
    end() {
      if (last < 0) return;
      if (stream.isTTY) stream.write('\n');
      else if (shown !== last) stream.write(`${text(last)}\n`);
      last = -1;
    },
  };
}
