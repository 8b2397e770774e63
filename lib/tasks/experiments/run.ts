// An experiment by name.

import { join } from 'node:path';

import { mkdir } from 'node:fs/promises';

import { raise } from '../../errors';
import { replaceFile } from '../../files';
import { native } from '../../native';
import { VERSION } from '../../version';
import { refuseOccupied } from '../recommender/run-folder';
import { activationVariances, varianceReport, type VarianceRow, varianceText } from './activation-variance';
import type { ExperimentControl } from './cells';
import { rankingExperiment } from './definitions';
import { runRankingExperiment } from './ranking';
import { REPORT_FILE, RESULTS_FILE } from './store';
import { rankingText, type SummaryRow, summarise } from './summary';

export interface ExperimentOutcome {
  /** For a terminal. */
  readonly text: string;
  readonly rows: readonly SummaryRow[] | readonly VarianceRow[];
  /** Cells that are there, and cells asked for; 0 for a table without training. */
  readonly cells: number;
  readonly planned: number;
  readonly interrupted: boolean;
}

/**
 * Runs what is missing of an experiment and writes results.json and report.html into `out`.
 *
 * @throws ERR_INVALID_ARGUMENT for an unknown name, missing data or options that do not belong to the experiment; ERR_DATA_FORMAT,
 *   ERR_RUN_FOLDER; what training throws, with every finished cell on disk.
 */
export async function runExperiment(name: string, control: ExperimentControl): Promise<ExperimentOutcome> {
  if (name === 'paper-table-1') return runTable1(control);
  const experiment = rankingExperiment(name);
  native(); // where LibTorch is missing, that is said before a large file is read
  const { results, planned, interrupted } = await runRankingExperiment(experiment, control);
  return {
    text: rankingText(experiment, results),
    rows: summarise(experiment, results),
    cells: results.cells.length,
    planned,
    interrupted,
  };
}

/** `quick` changes nothing: the whole table takes a second. */
async function runTable1({ out, data, seeds, resume = false }: ExperimentControl): Promise<ExperimentOutcome> {
  if (data !== undefined || seeds !== undefined || resume) {
    raise('ERR_INVALID_ARGUMENT', 'experiment paper-table-1: trains nothing, so it takes no data, seeds or resume.');
  }
  await refuseOccupied(out);
  const rows = activationVariances();
  await mkdir(out, { recursive: true });
  const results = { experiment: 'paper-table-1', phantomgrad: VERSION, rows };
  await replaceFile(join(out, RESULTS_FILE), `${JSON.stringify(results, null, 2)}\n`);
  await replaceFile(join(out, REPORT_FILE), varianceReport(rows));
  return { text: varianceText(rows), rows, cells: 0, planned: 0, interrupted: false };
}
