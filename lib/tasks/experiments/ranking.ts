// Runs the cells of an accuracy table that are not there yet: every row, budget and seed is a training run of its own.

import * as check from '../../check';
import { raise } from '../../errors';
import type { RecommenderOptions } from '../recommender';
import { type ExperimentControl, type PlannedCell, runCells } from './cells';
import type { RankingExperiment } from './definitions';
import { rankingData } from './ranking-data';
import { rankingReport } from './ranking-report';
import { trainCell } from './recommender-cell';
import type { Cell, CellId, Results } from './results';
import type { ExperimentRow } from './rows';
import { ResultsStore } from './store';

export interface RankingOutcome {
  readonly results: Results;
  /** Of the rows, budgets and seeds asked for. */
  readonly planned: number;
  readonly interrupted: boolean;
}

/**
 * @throws ERR_INVALID_ARGUMENT, ERR_DATA_FORMAT, ERR_RUN_FOLDER before anything is trained; what `trainRecommender` throws. Finished
 *   cells are on disk whatever happens.
 */
export async function runRankingExperiment(
  experiment: RankingExperiment,
  control: ExperimentControl,
): Promise<RankingOutcome> {
  const { quick = false, out, seeds = quick ? 1 : experiment.seeds, resume = false } = control;
  check.integer('experiment', { seeds }, 1);
  const ids = experiment.rows.map(({ id }) => id);
  const rows = chosen('row', control.rows, ids).map((id) => experiment.rows[ids.indexOf(id)] as ExperimentRow);
  const epsilons = chosen('epsilon', control.epsilons, experiment.epsilons);
  const { head, options } = await rankingData(experiment.name, experiment, control);
  const empty: Results = { ...head, yardsticks: {}, cells: [] };
  const store = await ResultsStore.open(out, empty, ['data', 'options'], resume);
  // All rows get their first seed before any gets its second: an experiment that is stopped has a table.
  const plan = Array.from({ length: seeds }, (_, seed) =>
    epsilons.flatMap((epsilon) => rows.map((row) => plannedCell(row, { epsilon, seed }, options, control))),
  ).flat();
  const interrupted = await runCells(store, plan, (results) => rankingReport(experiment, results), control);
  return { results: store.results, planned: plan.length, interrupted };
}

function chosen<T extends string | number>(
  what: string,
  given: readonly (string | number)[] | undefined,
  all: readonly T[],
): readonly T[] {
  const unknown = given?.find((one) => !all.includes(one as T));
  if (given?.length === 0 || unknown !== undefined) {
    raise('ERR_INVALID_ARGUMENT', `experiment: no ${what} ${String(unknown ?? '')}; known are ${all.join(', ')}.`);
  }
  return given === undefined ? all : all.filter((one) => given.includes(one));
}

function plannedCell(
  { id: row, name, options: own }: ExperimentRow,
  { epsilon, seed }: Omit<CellId, 'row'>,
  options: RecommenderOptions,
  control: Pick<ExperimentControl, 'signal' | 'onEvent'>,
): PlannedCell<Cell> {
  return {
    key: `${row}-epsilon-${epsilon}-seed-${seed}`,
    title: `${name}, epsilon ${epsilon}, seed ${seed}`,
    is: (cell) => cell.row === row && cell.epsilon === epsilon && cell.seed === seed,
    run: async (folder) => {
      const trained = await trainCell(folder, { ...options, ...own, epsilon, seed }, control);
      return trained && { cell: { row, epsilon, seed, ...trained.cell }, beside: { yardsticks: trained.yardsticks } };
    },
  };
}
