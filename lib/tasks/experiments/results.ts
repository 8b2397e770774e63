// results.json of an experiment: what it consists of, and every cell that has been run, one more after each.

import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { raise } from '../../errors';
import { replaceFile } from '../../files';
import type { Accuracy } from '../ranking';
import type { RecommenderOptions } from '../recommender';
import type { RowId } from './definitions';

export const RESULTS_FILE = 'results.json';
export const REPORT_FILE = 'report.html';

/** What must be the same for cells to belong to one table. */
export interface ResultsHead {
  readonly experiment: string;
  readonly quick: boolean;
  /** Version of this library. */
  readonly phantomgrad: string;
  readonly data: { readonly name: string; readonly users: number; readonly items: number; readonly actions: number };
  /** Options of every cell, without those of its row. */
  readonly options: Omit<RecommenderOptions, 'data'>;
}

export interface CellId {
  readonly row: RowId;
  readonly epsilon: number;
  readonly seed: number;
}

export interface Cell extends CellId {
  readonly excludingSeen: Accuracy;
  readonly includingSeen: Accuracy;
  /** What the ledger says was spent. */
  readonly privacy: {
    readonly epsilon: number;
    readonly delta: number;
    readonly noiseMultiplier: number;
    readonly steps: number;
  };
  /** Mean training loss over about a hundredth of the steps each, with the epoch at its end; not private. */
  readonly losses: readonly (readonly [epoch: number, loss: number])[];
  readonly secondsPerEpoch: number;
  readonly finished: string;
}

/** Accuracies of the scorers that need no training, from the first cell. */
export type Yardsticks = Readonly<
  Record<string, { readonly excludingSeen: Accuracy; readonly includingSeen: Accuracy }>
>;

export interface Results extends ResultsHead {
  readonly yardsticks: Yardsticks;
  readonly cells: readonly Cell[];
}

/** The results in one folder. */
export class ResultsStore {
  private constructor(
    readonly folder: string,
    public results: Results,
  ) {}

  /**
   * Begins in an empty or new folder, or goes on with the cells that are there. Writes nothing yet.
   *
   * @throws ERR_RUN_FOLDER for a folder that holds anything, or with `resume` none of the same experiment, data, settings and version.
   */
  static async open(folder: string, head: ResultsHead, resume: boolean): Promise<ResultsStore> {
    if (!resume) {
      const names = await readdir(folder).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        return raise('ERR_RUN_FOLDER', `${folder}: is not a folder that results can be written to.`, error);
      });
      if (names.length > 0) {
        raise('ERR_RUN_FOLDER', `${folder}: is not empty (${names[0]} …). Choose a new folder, or say --resume.`);
      }
      return new ResultsStore(folder, { ...head, yardsticks: {}, cells: [] });
    }
    const path = join(folder, RESULTS_FILE);
    const stored = await read(path);
    for (const key of ['experiment', 'quick', 'phantomgrad', 'data', 'options'] as const) {
      const [there, here] = [JSON.stringify(stored[key]), JSON.stringify(head[key])];
      if (there !== here) raise('ERR_RUN_FOLDER', `${path}: ${key} is ${there}, now it would be ${here}.`);
    }
    return new ResultsStore(folder, stored);
  }

  has({ row, epsilon, seed }: CellId): boolean {
    return this.results.cells.some((cell) => cell.row === row && cell.epsilon === epsilon && cell.seed === seed);
  }

  /** On disk when it returns; a reader never sees half a file. */
  async append(cell: Cell, yardsticks: Yardsticks): Promise<void> {
    this.results = { ...this.results, yardsticks, cells: [...this.results.cells, cell] };
    await this.save();
  }

  /** Makes the folder where there is none. */
  async save(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    await replaceFile(join(this.folder, RESULTS_FILE), `${JSON.stringify(this.results, null, 2)}\n`);
  }
}

async function read(path: string): Promise<Results> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return raise('ERR_RUN_FOLDER', `${path}: cannot be read; there is no experiment to go on with.`, error);
  }
  try {
    const value = JSON.parse(text) as Results;
    if (Array.isArray(value.cells)) return value;
  } catch (error) {
    return raise('ERR_RUN_FOLDER', `${path}: is not JSON: ${(error as Error).message}.`, error);
  }
  return raise('ERR_RUN_FOLDER', `${path}: has no list of cells.`);
}
