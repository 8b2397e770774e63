// The cells of an experiment, one after another or side by side: each in a folder of its own, which an interruption leaves for the next try.

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { replaceFile } from '../../files';
import type { RunEvent } from '../recommender';
import { type FinishedCell, sideBySide } from './side-by-side';
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
  /** Measures on the item before each user's last one: for choosing settings. Default false. */
  readonly validation?: boolean;
  /** Cells that run at a time, each in a process of its own with its share of the cores. Default 1, in this process. */
  readonly jobs?: number;
  /** Where models are trained: `cpu`, `cuda` or `cuda:N`. Results of all devices belong together. Default `cpu`. */
  readonly device?: string;
  /** Ends after the training step at hand; private training goes on there when the experiment is resumed. */
  readonly signal?: AbortSignal;
  /** @param cell  Title of the cell where several run at a time. */
  readonly onEvent?: (event: RunEvent, cell?: string) => void;
  /** Called before each cell. */
  readonly onCell?: (text: string) => void;
  /** In the process of a single cell: it is run, nothing is written to the results, and what it came to is told; null when interrupted. */
  readonly only?: { readonly key: string; readonly done: (done: FinishedCell<object> | null) => void };
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
   * @returns Null when interrupted.
   */
  readonly run: (folder: string) => Promise<FinishedCell<C> | null>;
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
  control: ExperimentControl,
): Promise<boolean> {
  const { jobs = 1, only, signal, onCell } = control;
  const cells = join(store.folder, 'cells');
  const folderOf = ({ key }: PlannedCell<C>): string => join(cells, key);
  if (only !== undefined) {
    const planned = plan.find(({ key }) => key === only.key) as PlannedCell<C>;
    const done = await planned.run(folderOf(planned));
    only.done(done);
    return done === null;
  }
  const there = ({ is }: PlannedCell<C>): boolean => store.results.cells.some(is);
  const show = (): Promise<void> => replaceFile(join(store.folder, REPORT_FILE), report(store.results));
  const begin = (planned: PlannedCell<C>): void =>
    onCell?.(`Cell ${plan.indexOf(planned) + 1} of ${plan.length}: ${planned.title}`);
  const finish = async (planned: PlannedCell<C>, { cell, beside }: FinishedCell<C>): Promise<void> => {
    await store.append(cell, beside ?? {});
    await rm(folderOf(planned), { recursive: true, force: true });
    await show();
  };
  await store.save();
  await show();
  // Left where a process ended between writing a result and removing its folder.
  for (const planned of plan.filter(there)) await rm(folderOf(planned), { recursive: true, force: true });
  const missing = plan.filter((planned) => !there(planned));
  if (missing.length === 0) {
    await rm(cells, { recursive: true, force: true });
    return false;
  }
  await mkdir(cells, { recursive: true });
  const interrupted =
    jobs > 1
      ? await sideBySide(store.results.experiment, missing, control, begin, finish)
      : await oneByOne(missing, folderOf, signal, begin, finish);
  if (plan.every(there)) await rm(cells, { recursive: true, force: true });
  return interrupted;
}

async function oneByOne<C extends object>(
  cells: readonly PlannedCell<C>[],
  folderOf: (planned: PlannedCell<C>) => string,
  signal: AbortSignal | undefined,
  begin: (planned: PlannedCell<C>) => void,
  finish: (planned: PlannedCell<C>, done: FinishedCell<C>) => Promise<void>,
): Promise<boolean> {
  for (const planned of cells) {
    if (signal?.aborted === true) return true;
    begin(planned);
    const done = await planned.run(folderOf(planned));
    if (done === null) return true;
    await finish(planned, done);
  }
  return false;
}
