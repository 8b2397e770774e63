// Runs the cells of an accuracy table that are not there yet: every row, budget and seed is a training run of its own.

import * as check from '../../check';
import { raise } from '../../errors';
import type { RecommenderOptions } from '../recommender';
import { type ExperimentControl, type PlannedCell, runCells } from './cells';
import { EPSILONS, type RankingExperiment, ROW_IDS, type RowId, ROWS } from './definitions';
import { rankingData } from './ranking-data';
import { rankingReport } from './ranking-report';
import { trainCell } from './recommender-cell';
import type { Cell, CellId, Results } from './results';
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
  const { quick = false, out, seeds = quick ? 1 : 5, resume = false } = control;
  check.integer('experiment', { seeds }, 1);
  const rows = chosen('row', control.rows, ROW_IDS);
  const epsilons = chosen('epsilon', control.epsilons, EPSILONS);
  const { head, options } = await rankingData(experiment.name, experiment, control);
  const empty: Results = { ...head, yardsticks: {}, cells: [] };
  const store = await ResultsStore.open(out, empty, ['data', 'options'], resume);
  // All rows get their first seed before any gets its second: an experiment that is stopped has a table.
  const plan = cellsOf(rows, epsilons, seeds).map((id) => plannedCell(id, options, control));
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

function cellsOf(rows: readonly RowId[], epsilons: readonly number[], seeds: number): CellId[] {
  return Array.from({ length: seeds }, (_, seed) => seed).flatMap((seed) =>
    epsilons.flatMap((epsilon) => rows.map((row) => ({ row, epsilon, seed }))),
  );
}

const rowOf = ({ row }: CellId): (typeof ROWS)[number] => ROWS.find(({ id }) => id === row)!;

function plannedCell(
  id: CellId,
  options: RecommenderOptions,
  control: Pick<ExperimentControl, 'signal' | 'onEvent'>,
): PlannedCell<Cell> {
  const { row, epsilon, seed } = id;
  return {
    key: `${row}-epsilon-${epsilon}-seed-${seed}`,
    title: `${rowOf(id).name}, epsilon ${epsilon}, seed ${seed}`,
    is: (cell) => cell.row === row && cell.epsilon === epsilon && cell.seed === seed,
    run: async (folder) => {
      const trained = await trainCell(folder, { ...options, ...rowOf(id).options, epsilon, seed }, control);
      return trained && { cell: { ...id, ...trained.cell }, beside: { yardsticks: trained.yardsticks } };
    },
  };
}
