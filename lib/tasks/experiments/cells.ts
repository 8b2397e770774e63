// The cells of an experiment, one after another: each in a folder of its own, which an interruption leaves behind for the next try.

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { replaceFile } from '../../files';
import type { RunEvent } from '../recommender';
import { type Head, REPORT_FILE, type ResultsStore } from './store';

/** What every experiment can be told. */
export interface ExperimentControl {
  /** File with the data; none for a quick run. */
  readonly data?: string;
  /** Tiny runs on made-up data instead. Default false. */
  readonly quick?: boolean;
  /** Folder for results.json and report.html. */
  readonly out: string;
  /** Runs of every cell, with the seeds 0, 1, …. Default 5, as in the paper, unless the experiment says otherwise; 1 for a quick run. */
  readonly seeds?: number;
  /** Tables: rows to run, by id. Default all. */
  readonly rows?: readonly string[];
  /** Tables: budgets to run. Default all of the paper's. */
  readonly epsilons?: readonly number[];
  /** A variant for CPUs, where the experiment has one. Default false. */
  readonly small?: boolean;
  /** Goes on in `out`: with the cell that was interrupted, then with those that are missing. Default false. */
  readonly resume?: boolean;
  /** Ends after the training step at hand; private training goes on there when the experiment is resumed. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: RunEvent) => void;
  /** Called before each cell. */
  readonly onCell?: (text: string) => void;
}

export interface PlannedCell<C extends object> {
  /** Name of its folder. */
  readonly key: string;
  /** For people. */
  readonly title: string;
  /** Whether a stored cell is this one. */
  readonly is: (cell: C) => boolean;
  /**
   * Runs in `folder`, or goes on with what an interrupted try left there.
   *
   * @returns The cell, and what else the results shall hold from now on; null when interrupted.
   */
  readonly run: (folder: string) => Promise<{ readonly cell: C; readonly beside?: object } | null>;
}

/**
 * Runs the planned cells that are not stored yet. A cell's folder goes when its result is on disk.
 *
 * @param report  report.html of what is there; written at the beginning and after each cell.
 * @returns Whether it was interrupted with cells to come.
 */
export async function runCells<C extends object, R extends Head & { readonly cells: readonly C[] }>(
  store: ResultsStore<R>,
  plan: readonly PlannedCell<C>[],
  report: (results: R) => string,
  { signal, onCell }: Pick<ExperimentControl, 'signal' | 'onCell'>,
): Promise<boolean> {
  const cells = join(store.folder, 'cells');
  const there = ({ is }: PlannedCell<C>): boolean => store.results.cells.some(is);
  const show = (): Promise<void> => replaceFile(join(store.folder, REPORT_FILE), report(store.results));
  await store.save();
  await show();
  let interrupted = false;
  for (const [k, planned] of plan.entries()) {
    const folder = join(cells, planned.key);
    if (there(planned)) {
      await rm(folder, { recursive: true, force: true }); // where the process ended between the two
      continue;
    }
    if (signal?.aborted === true) {
      interrupted = true;
      break;
    }
    onCell?.(`Cell ${k + 1} of ${plan.length}: ${planned.title}`);
    await mkdir(cells, { recursive: true });
    const done = await planned.run(folder);
    if (done === null) {
      interrupted = true;
      break;
    }
    await store.append(done.cell, done.beside ?? {});
    await rm(folder, { recursive: true, force: true });
    await show();
  }
  if (plan.every(there)) await rm(cells, { recursive: true, force: true });
  return interrupted;
}
