// An experiment by name.

import { join } from 'node:path';

import { mkdir } from 'node:fs/promises';

import * as check from '../../check';
import { raise } from '../../errors';
import { replaceFile } from '../../files';
import { native } from '../../native';
import { checkDevice } from '../../tensor';
import { VERSION } from '../../version';
import { refuseOccupied } from '../run/folder';
import { activationVariances, varianceReport, varianceText } from './activation-variance';
import { EXPERIMENT_NAMES, NOT_COVERED, RANKING_NAMES, rankingExperiment } from './definitions';
import type { ExperimentControl } from './cells';
import { runFigure10 } from './figures/fig-10';
import { runFigure4 } from './figures/fig-4';
import { runFigure6 } from './figures/fig-6';
import { runFigure8 } from './figures/fig-8';
import { runGrid } from './figures/grid';
import { runRankingExperiment } from './ranking';
import { REPORT_FILE, RESULTS_FILE } from './store';
import { rankingText, summarise } from './summary';
import { runTextExperiment, TEXT_EXPERIMENT } from './text/run';

export interface ExperimentOutcome {
  /** For a terminal. */
  readonly text: string;
  readonly rows: readonly object[];
  /** Cells that are there, and cells asked for; 0 for a table without training. */
  readonly cells: number;
  readonly planned: number;
  readonly interrupted: boolean;
  /** What no ε of it covers; empty where nothing was trained. */
  readonly notCovered: readonly string[];
}

/** Where --small means something. */
const SMALL_NAMES: readonly string[] = [
  ...RANKING_NAMES.filter((name) => rankingExperiment(name).small !== undefined),
  TEXT_EXPERIMENT,
];

/** Where --validation means something. */
const MEASURED_ON_ITEMS: readonly string[] = [
  ...RANKING_NAMES,
  ...['paper-fig-4', 'paper-fig-4-games', 'paper-fig-7', 'paper-fig-9'],
];

/** These train nothing, or what they measure is the machine. */
const ALONE: readonly string[] = ['paper-table-1', 'paper-fig-6', 'paper-fig-8'];

const FIGURES: Readonly<Record<string, (control: ExperimentControl) => Promise<ExperimentOutcome>>> = {
  'paper-fig-4': (control) => runFigure4('paper-fig-4', control),
  'paper-fig-4-games': (control) => runFigure4('paper-fig-4-games', control),
  'paper-fig-6': runFigure6,
  'paper-fig-7': (control) => runGrid('paper-fig-7', control),
  'paper-fig-8': runFigure8,
  'paper-fig-9': (control) => runGrid('paper-fig-9', control),
  'paper-fig-10': runFigure10,
};

/**
 * Runs what is missing of an experiment and writes results.json and report.html into `out`.
 *
 * @throws ERR_INVALID_ARGUMENT for an unknown name, missing data or options that do not belong to the experiment; ERR_DATA_FORMAT,
 *   ERR_RUN_FOLDER; what training throws, with every finished cell on disk.
 */
export async function runExperiment(name: string, control: ExperimentControl): Promise<ExperimentOutcome> {
  refuseUnfit(name, control);
  if (name === TEXT_EXPERIMENT) return runTextExperiment(control);
  const drawn = FIGURES[name];
  if (drawn !== undefined) return drawn(control);
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
    notCovered: NOT_COVERED,
  };
}

// Names that are none, and what an experiment of this name would have to ignore.
function refuseUnfit(
  name: string,
  { rows, epsilons, small, quick, validation, jobs, device }: ExperimentControl,
): void {
  if (!EXPERIMENT_NAMES.includes(name)) {
    const known = EXPERIMENT_NAMES.join(', ');
    raise('ERR_INVALID_ARGUMENT', `experiment: there is no ${JSON.stringify(name)}; known are ${known}.`);
  }
  const refuse = (why: string): never => raise('ERR_INVALID_ARGUMENT', `experiment ${name}: ${why}.`);
  if (!RANKING_NAMES.includes(name) && (rows !== undefined || epsilons !== undefined)) {
    refuse(`rows and epsilons are chosen for ${RANKING_NAMES.join(', ')} only`);
  }
  if (small === true && !SMALL_NAMES.includes(name)) {
    refuse(`has no small variant; --small is for ${SMALL_NAMES.join(', ')}`);
  }
  if (small === true && quick === true) refuse('a quick run is small already; give --quick or --small');
  if (validation === true && !MEASURED_ON_ITEMS.includes(name)) {
    refuse(`measures no held-out items; --validation is for ${MEASURED_ON_ITEMS.join(', ')}`);
  }
  if (jobs !== undefined) check.integer(`experiment ${name}`, { jobs }, 1);
  if (jobs !== undefined && jobs > 1 && ALONE.includes(name))
    refuse('takes no jobs: it trains nothing, or measures time and memory');
  if (device !== undefined && ALONE.includes(name))
    refuse('takes no device: it trains nothing, or measures steps on the CPU');
  if (device !== undefined) checkDevice(`experiment ${name}`, device);
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
  return { text: varianceText(rows), rows, cells: 0, planned: 0, interrupted: false, notCovered: [] };
}
