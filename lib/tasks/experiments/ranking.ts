// Runs the cells of an accuracy table that are not there yet: every row, budget and seed is a training run of its own.

import { join } from 'node:path';

import * as check from '../../check';
import { raise } from '../../errors';
import { VERSION } from '../../version';
import type { PrivacySpent } from '../../privacy';
import { type RecommenderOptions, trainRecommender } from '../recommender';
import { loadHistories } from '../recommender/data';
import { resolveOptions } from '../recommender/options';
import { RUN_FILES } from '../recommender/run-folder';
import { type ExperimentControl, type PlannedCell, runCells } from './cells';
import { lossCurve } from './curve';
import { EPSILONS, QUICK, type RankingExperiment, ROWS } from './definitions';
import { rankingReport } from './ranking-report';
import type { Cell, CellId, CellPrivacy, Results, ResultsHead } from './results';
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
  const { data, quick = false, out, seeds = quick ? 1 : 5, resume = false } = control;
  check.integer('experiment', { seeds }, 1);
  const file = source(experiment, data, quick);
  const { head, cellOptions } = await prepare(experiment, file, quick);
  const empty: Results = { ...head, yardsticks: {}, cells: [] };
  const store = await ResultsStore.open(out, empty, ['data', 'options'], resume);
  // All rows get their first seed before any gets its second: an experiment that is stopped has a table.
  const plan = cellsOf(seeds).map((id) => plannedCell(id, { ...cellOptions, ...file }, control));
  const interrupted = await runCells(store, plan, (results) => rankingReport(experiment, results), control);
  return { results: store.results, planned: plan.length, interrupted };
}

function source({ name, data: { name: title } }: RankingExperiment, data: string | undefined, quick: boolean) {
  if (quick && data !== undefined) {
    return raise('ERR_INVALID_ARGUMENT', `experiment ${name}: a quick run takes made-up histories, not --data.`);
  }
  if (!quick && data === undefined) {
    return raise(
      'ERR_INVALID_ARGUMENT',
      `experiment ${name}: needs ${title}; name its file with --data, or try --quick on made-up histories.`,
    );
  }
  return data === undefined ? {} : { data };
}

async function prepare(
  experiment: RankingExperiment,
  file: { readonly data?: string },
  quick: boolean,
): Promise<{ head: ResultsHead; cellOptions: Omit<RecommenderOptions, 'data'> }> {
  const settings = quick ? QUICK : experiment.options;
  const { interactions, source } = await loadHistories(resolveOptions({ ...settings, ...file }));
  const { users, itemCount: items } = interactions;
  const { actions } = interactions.split().train;
  const options = { ...settings, delta: 1 / users };
  const name = source.kind === 'file' ? source.name : 'made-up histories';
  return {
    head: {
      experiment: experiment.name,
      quick,
      phantomgrad: VERSION,
      data: { name, users, items, actions },
      options,
    },
    cellOptions: options,
  };
}

function cellsOf(seeds: number): CellId[] {
  return Array.from({ length: seeds }, (_, seed) => seed).flatMap((seed) =>
    EPSILONS.flatMap((epsilon) => ROWS.map(({ id }) => ({ row: id, epsilon, seed }))),
  );
}

const rowOf = ({ row }: CellId): (typeof ROWS)[number] => ROWS.find(({ id }) => id === row)!;

function plannedCell(
  id: CellId,
  options: RecommenderOptions,
  { signal, onEvent }: Pick<ExperimentControl, 'signal' | 'onEvent'>,
): PlannedCell<Cell> {
  const { row, epsilon, seed } = id;
  return {
    key: `${row}-epsilon-${epsilon}-seed-${seed}`,
    title: `${rowOf(id).name}, epsilon ${epsilon}, seed ${seed}`,
    is: (cell) => cell.row === row && cell.epsilon === epsilon && cell.seed === seed,
    run: async (folder) => {
      const report = await trainRecommender(
        { ...options, ...rowOf(id).options, epsilon, seed },
        { out: folder, resume: 'auto', ...(onEvent && { onEvent }), ...(signal && { signal }) },
      );
      const own = report.rows.find(({ name }) => name === 'private');
      if (report.interrupted || own === undefined) return null;
      const { hit, ndcg, includingSeen } = own;
      const cell: Cell = {
        ...id,
        excludingSeen: { hit, ndcg },
        includingSeen,
        privacy: cellPrivacy(report.privacy),
        losses: lossCurve(join(folder, RUN_FILES.metrics)),
        secondsPerEpoch: report.secondsPerEpoch,
        finished: new Date().toISOString(),
      };
      const yardsticks = report.rows
        .filter(({ name }) => name !== 'private')
        .map(({ name, hit, ndcg, includingSeen }) => [name, { excludingSeen: { hit, ndcg }, includingSeen }] as const);
      return { cell, beside: { yardsticks: Object.fromEntries(yardsticks) } };
    },
  };
}

export function cellPrivacy({ epsilon, delta, noiseMultiplier, steps, lostSteps }: PrivacySpent): CellPrivacy {
  return { epsilon, delta, noiseMultiplier, steps, lostSteps };
}
