// Runs the cells of an accuracy table that are not there yet: every row, budget and seed is a training run of its own.

import { join } from 'node:path';

import * as check from '../../check';
import { raise } from '../../errors';
import { replaceFile } from '../../files';
import { VERSION } from '../../version';
import { type RecommenderOptions, type RunEvent, trainRecommender } from '../recommender';
import { loadHistories } from '../recommender/data';
import { resolveOptions } from '../recommender/options';
import { EPSILONS, QUICK, type RankingExperiment, ROWS } from './definitions';
import { rankingReport } from './ranking-report';
import { type Cell, type CellId, REPORT_FILE, type Results, type ResultsHead, ResultsStore } from './results';

export interface ExperimentControl {
  /** File with the interactions; none for a quick run. */
  readonly data?: string;
  /** Two small steps on made-up histories instead. Default false. */
  readonly quick?: boolean;
  /** Folder for results.json and report.html. */
  readonly out: string;
  /** Runs of every cell, with the seeds 0, 1, …. Default 5, as in the paper; 1 for a quick run. */
  readonly seeds?: number;
  /** Goes on with the cells that are missing in `out`. Default false. */
  readonly resume?: boolean;
  /** Ends after the training step at hand; the cell at hand is not kept. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: RunEvent) => void;
  /** Called before each cell. */
  readonly onCell?: (text: string) => void;
}

export interface RankingOutcome {
  readonly results: Results;
  /** Of the rows, budgets and seeds asked for. */
  readonly planned: number;
  readonly interrupted: boolean;
}

const CURVE_POINTS = 100;

/**
 * @throws ERR_INVALID_ARGUMENT, ERR_DATA_FORMAT, ERR_RUN_FOLDER before anything is trained; what `trainRecommender` throws. Finished
 *   cells are on disk whatever happens.
 */
export async function runRankingExperiment(
  experiment: RankingExperiment,
  { data, quick = false, out, seeds = quick ? 1 : 5, resume = false, signal, onEvent, onCell }: ExperimentControl,
): Promise<RankingOutcome> {
  check.integer('experiment', { seeds }, 1);
  const file = source(experiment, data, quick);
  const { head, cellOptions } = await prepare(experiment, file, quick);
  const store = await ResultsStore.open(out, head, resume);
  await store.save();
  // All rows get their first seed before any gets its second: an experiment that is stopped has a table.
  const plan = cellsOf(seeds);
  let interrupted = false;
  for (const [k, id] of plan.entries()) {
    if (store.has(id)) continue;
    onCell?.(`Cell ${k + 1} of ${plan.length}: ${rowOf(id).name}, epsilon ${id.epsilon}, seed ${id.seed}`);
    interrupted = !(await runCell(store, id, { ...cellOptions, ...file }, signal, onEvent));
    await replaceFile(join(out, REPORT_FILE), rankingReport(experiment, store.results));
    if (interrupted) break;
  }
  await replaceFile(join(out, REPORT_FILE), rankingReport(experiment, store.results));
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

/** @returns Whether the cell was finished. */
async function runCell(
  store: ResultsStore,
  id: CellId,
  options: RecommenderOptions,
  signal: AbortSignal | undefined,
  onEvent: (event: RunEvent) => void = () => undefined,
): Promise<boolean> {
  const losses: [epoch: number, loss: number][] = [];
  let [sum, samples, shown] = [0, 0, 0];
  const follow = (event: RunEvent): void => {
    onEvent(event);
    if (event.kind !== 'step') return;
    if (event.samples > 0) [sum, samples] = [sum + event.loss * event.samples, samples + event.samples];
    const due = Math.floor((event.step * CURVE_POINTS) / event.steps);
    if (due === shown || samples === 0) return;
    if (Number.isFinite(sum)) losses.push([event.epoch, sum / samples]);
    [sum, samples, shown] = [0, 0, due];
  };
  const { epsilon, seed } = id;
  const report = await trainRecommender(
    { ...options, ...rowOf(id).options, epsilon, seed },
    { onEvent: follow, ...(signal === undefined ? {} : { signal }) },
  );
  const own = report.rows.find(({ name }) => name === 'private');
  if (report.interrupted || own === undefined) return false;
  const { delta, noiseMultiplier, steps } = report.privacy;
  const { hit, ndcg, includingSeen } = own;
  const cell: Cell = {
    ...id,
    excludingSeen: { hit, ndcg },
    includingSeen,
    privacy: { epsilon: report.privacy.epsilon, delta, noiseMultiplier, steps },
    losses,
    secondsPerEpoch: report.secondsPerEpoch,
    finished: new Date().toISOString(),
  };
  const yardsticks = report.rows
    .filter(({ name }) => name !== 'private')
    .map(({ name, hit, ndcg, includingSeen }) => [name, { excludingSeen: { hit, ndcg }, includingSeen }] as const);
  await store.append(cell, Object.fromEntries(yardsticks));
  return signal?.aborted !== true;
}
