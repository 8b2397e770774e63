// results.json of an experiment: what it consists of, and every cell that has been run, one more after each.

import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { raise } from '../../errors';
import { replaceFile } from '../../files';

export const RESULTS_FILE = 'results.json';
export const REPORT_FILE = 'report.html';

/** What must be the same for cells to belong to one experiment. JSON only. */
export interface Head {
  readonly experiment: string;
  readonly quick: boolean;
  /** Version of this library. */
  readonly phantomgrad: string;
}

/** The results in one folder: a head, cells, and what else belongs beside them. */
export class ResultsStore<R extends Head & { readonly cells: readonly object[] }> {
  private constructor(
    readonly folder: string,
    public results: R,
  ) {}

  /**
   * Begins with `empty` in an empty or new folder, or goes on with the cells that are there. Writes nothing yet.
   *
   * @param keys  Of the head: they must say the same there and here.
   * @throws ERR_RUN_FOLDER for a folder that holds anything, or with `resume` none of the same experiment, data, settings and version.
   */
  static async open<R extends Head & { readonly cells: readonly object[] }>(
    folder: string,
    empty: R,
    keys: readonly (keyof R)[],
    resume: boolean,
  ): Promise<ResultsStore<R>> {
    if (!resume) {
      const names = await readdir(folder).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        return raise('ERR_RUN_FOLDER', `${folder}: is not a folder that results can be written to.`, error);
      });
      if (names.length > 0) {
        raise('ERR_RUN_FOLDER', `${folder}: is not empty (${names[0]} …). Choose a new folder, or say --resume.`);
      }
      return new ResultsStore(folder, empty);
    }
    const path = join(folder, RESULTS_FILE);
    const stored = await read<R>(path);
    for (const key of ['experiment', 'quick', 'phantomgrad', ...keys] as const) {
      const [there, here] = [JSON.stringify(stored[key]), JSON.stringify(empty[key])];
      if (there !== here) raise('ERR_RUN_FOLDER', `${path}: ${String(key)} is ${there}, now it would be ${here}.`);
    }
    return new ResultsStore(folder, stored);
  }

  /** On disk when it returns; a reader never sees half a file. */
  async append(cell: R['cells'][number], beside: Partial<R> = {}): Promise<void> {
    this.results = { ...this.results, ...beside, cells: [...this.results.cells, cell] };
    await this.save();
  }

  /** Makes the folder where there is none. */
  async save(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    await replaceFile(join(this.folder, RESULTS_FILE), `${JSON.stringify(this.results, null, 2)}\n`);
  }
}

async function read<R extends { readonly cells: readonly object[] }>(path: string): Promise<R> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return raise('ERR_RUN_FOLDER', `${path}: cannot be read; there is no experiment to go on with.`, error);
  }
  try {
    const value = JSON.parse(text) as R;
    if (Array.isArray(value.cells)) return value;
  } catch (error) {
    return raise('ERR_RUN_FOLDER', `${path}: is not JSON: ${(error as Error).message}.`, error);
  }
  return raise('ERR_RUN_FOLDER', `${path}: has no list of cells.`);
}
