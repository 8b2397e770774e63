// Cells side by side: each in a process of its own, with its share of the cores. One thread wastes no time on waiting for another.

import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { extname, join } from 'node:path';

import { type ErrorCode, PhantomgradError, raise } from '../../errors';
import type { RunEvent } from '../recommender';
import type { ExperimentControl } from './cells';

/** What a cell comes to, and what else the results shall hold from now on. */
export interface FinishedCell<C extends object> {
  readonly cell: C;
  readonly beside?: object;
}

/** What the process of a cell is told first. */
export interface CellJob {
  readonly experiment: string;
  readonly control: Omit<ExperimentControl, 'jobs' | 'signal' | 'onEvent' | 'onCell' | 'only'>;
  /** Of the planned cell. */
  readonly key: string;
}

/** What it says. The last message is `done` or `failed`; `done` is null when it was interrupted. */
export type CellMessage =
  | { readonly kind: 'event'; readonly event: RunEvent }
  | { readonly kind: 'done'; readonly done: FinishedCell<object> | null }
  | { readonly kind: 'failed'; readonly code: ErrorCode | null; readonly message: string };

/** Ends a cell after its step at hand. */
export const STOP = 'stop';

/** A planned cell, as far as another process needs it. */
export interface Titled {
  readonly key: string;
  readonly title: string;
}

/**
 * Runs `cells` in their order, `jobs` at a time. Where one fails, the others end after their step at hand and can be resumed.
 *
 * @param finished  Called for one cell at a time. @param begin  Before each cell.
 * @returns Whether cells were left out or interrupted. @throws what the first cell that failed threw.
 */
export async function sideBySide<C extends object, P extends Titled>(
  experiment: string,
  cells: readonly P[],
  { jobs = 1, signal, onEvent, onCell: _, only: __, ...control }: ExperimentControl,
  begin: (planned: P) => void,
  finished: (planned: P, done: FinishedCell<C>) => Promise<void>,
): Promise<boolean> {
  const failure = new AbortController();
  const ending = AbortSignal.any([failure.signal, ...(signal ? [signal] : [])]);
  const waiting = [...cells];
  let interrupted = false;
  let writing = Promise.resolve();
  const worker = async (): Promise<void> => {
    for (let planned = waiting.shift(); planned !== undefined; planned = waiting.shift()) {
      if (ending.aborted) {
        interrupted = true;
        return;
      }
      begin(planned);
      const { key, title } = planned;
      const tell = (event: RunEvent): void => onEvent?.(event, title);
      const done = await runInProcess<C>({ experiment, control, key }, threadsOf(jobs), ending, tell);
      if (done === null) {
        interrupted = true;
        return;
      }
      const own = planned;
      await (writing = writing.then(() => finished(own, done)));
    }
  };
  const endings = await Promise.allSettled(
    Array.from({ length: Math.min(jobs, cells.length) }, () =>
      worker().catch((error: unknown) => {
        failure.abort();
        throw error;
      }),
    ),
  );
  for (const end of endings) if (end.status === 'rejected') throw end.reason;
  return interrupted;
}

const threadsOf = (jobs: number): number => Math.max(1, Math.floor(availableParallelism() / jobs));

async function runInProcess<C extends object>(
  job: CellJob,
  threads: number,
  signal: AbortSignal,
  tell: (event: RunEvent) => void,
): Promise<FinishedCell<C> | null> {
  const script = join(__dirname, `cell-process${extname(__filename)}`);
  const child = fork(script, {
    env: { OMP_NUM_THREADS: String(threads), ...process.env },
    serialization: 'advanced', // a loss may be NaN, which JSON has no word for
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (errors = `${errors}${chunk}`.slice(-2000)));
  let last: Exclude<CellMessage, { kind: 'event' }> | null = null;
  child.on('message', (message: CellMessage) => {
    if (message.kind === 'event') tell(message.event);
    else last = message;
  });
  const stop = (): void => {
    if (child.connected) child.send(STOP);
  };
  // A parent that leaves before its cells must not leave them in their folders: whoever resumes then would find them busy. Ended at any
  // point, a cell is continued from its last saved state, with what it had reserved spent.
  const leave = (): void => void child.kill('SIGKILL');
  process.once('exit', leave);
  signal.addEventListener('abort', stop);
  try {
    const ended = new Promise<{ code: number | null; killer: string | null }>((done, fail) => {
      child.once('error', fail);
      child.once('close', (code, killer) => done({ code, killer }));
    });
    child.send(job);
    if (signal.aborted) stop();
    const { code, killer } = await ended;
    return resultOf<C>(last, job.key, `${killer ?? String(code)}: ${errors.trim()}`);
  } finally {
    signal.removeEventListener('abort', stop);
    process.off('exit', leave);
  }
}

function resultOf<C extends object>(
  last: Exclude<CellMessage, { kind: 'event' }> | null,
  key: string,
  ending: string,
): FinishedCell<C> | null {
  if (last?.kind === 'done') return last.done as FinishedCell<C> | null;
  if (typeof last?.code === 'string') throw new PhantomgradError(last.code, `cell ${key}: ${last.message}`);
  return raise('ERR_TORCH', `cell ${key}: its process ended with ${last?.message ?? ending}`);
}
