// Figures 7 and 9: accuracy over a grid of learning rates and batch sizes, one map a model.

import * as check from '../../../check';
import { native } from '../../../native';
import { figure, heading, list, page, paragraph, table } from '../../../report/html';
import { heatMap } from '../../../report/heat-map';
import { textTable } from '../../../report/table';
import type { RecommenderOptions } from '../../recommender';
import { type ExperimentControl, type PlannedCell, runCells } from '../cells';
import { DEPARTURES, GRID_NOT_COVERED, QUICK_REMARK, rankingExperiment } from '../definitions';
import { rankingData } from '../ranking-data';
import { trainCell, type TrainedCell, type Yardsticks } from '../recommender-cell';
import type { ResultsHead } from '../results';
import type { ExperimentOutcome } from '../run';
import { ResultsStore } from '../store';
import { settingsLine, type Statistic, statistic, statisticText } from '../summary';

interface GridCell extends TrainedCell {
  readonly model: string;
  readonly learningRate: number;
  readonly batchSize: number;
  readonly seed: number;
}

interface GridResults extends ResultsHead {
  readonly yardsticks: Yardsticks;
  readonly cells: readonly GridCell[];
}

interface GridModel {
  readonly id: string;
  readonly name: string;
  readonly options: (width: number) => RecommenderOptions;
}

interface Grid {
  readonly title: string;
  /** The accuracy table whose data and other settings it takes. */
  readonly settings: string;
  readonly epsilon: number;
  readonly models: readonly GridModel[];
  readonly remark: string;
}

const shared: GridModel = { id: 'shared', name: 'one shared table', options: () => ({ reAttention: false }) };

export const GRIDS: Readonly<Record<string, Grid>> = {
  'paper-fig-7': {
    title: 'Figure 7: sharing the table, MovieLens-1M',
    settings: 'paper-table-2',
    epsilon: 5,
    models: [
      shared,
      { id: 'apart', name: 'two tables', options: () => ({ reAttention: false, tied: false }) },
      {
        id: 'half',
        name: 'two tables of half the width',
        options: (width) => ({ reAttention: false, tied: false, dim: width / 2 }),
      },
    ],
    remark: 'The paper: NDCG@10 of the best point rises from about 2.5 % to about 4.6 % when the table is shared.',
  },
  'paper-fig-9': {
    title: 'Figure 9: the grid on Amazon Games',
    settings: 'paper-table-3',
    epsilon: 8,
    models: [
      { ...shared, id: 'vanilla', name: 'Transformer (vanilla)' },
      { id: 'reAttention', name: 'Transformer, Re-Attention', options: () => ({ reAttention: true }) },
    ],
    remark: 'The paper: NDCG@10 of the best points is 1.54 % without and 1.98 % with Re-Attention.',
  },
};

const FULL = { batches: [256, 512, 1024, 2048, 4096], rates: [1e-3, 3e-3, 5e-3, 7e-3, 9e-3] };
const QUICK_GRID = { batches: [20], rates: [3e-3] };

/** @param name  Of {@link GRIDS}. @throws as {@link runRankingExperiment}. */
export async function runGrid(name: string, control: ExperimentControl): Promise<ExperimentOutcome> {
  const { quick = false, out, seeds = 1, resume = false } = control;
  check.integer(`experiment ${name}`, { seeds }, 1);
  const grid = GRIDS[name] as Grid;
  const { head, options } = await rankingData(name, rankingExperiment(grid.settings), control);
  native();
  const store = await ResultsStore.open<GridResults>(
    out,
    { ...head, yardsticks: {}, cells: [] },
    ['data', 'options'],
    resume,
  );
  const plan = Array.from({ length: seeds }, (_, seed) => seed).flatMap((seed) =>
    pointsOf(quick).flatMap(([batchSize, learningRate]) =>
      grid.models.map((model): PlannedCell<GridCell> => ({
        key: `${model.id}-batch-${batchSize}-rate-${learningRate}-seed-${seed}`,
        title: `${model.name}, batch ${batchSize}, rate ${learningRate}, seed ${seed}`,
        is: (cell) =>
          cell.model === model.id &&
          cell.batchSize === batchSize &&
          cell.learningRate === learningRate &&
          cell.seed === seed,
        run: async (folder) => {
          const own = { ...model.options(options.dim as number), batchSize, learningRate, seed, epsilon: grid.epsilon };
          const trained = await trainCell(folder, { ...options, ...own }, control);
          const id = { model: model.id, learningRate, batchSize, seed };
          return trained && { cell: { ...id, ...trained.cell }, beside: { yardsticks: trained.yardsticks } };
        },
      })),
    ),
  );
  const interrupted = await runCells(store, plan, (results) => report(grid, results), control);
  const { cells } = store.results;
  const maps = grid.models.map(({ id, name: model }) => [model, textTable(...tableOf(cells, id, quick))].join('\n'));
  return {
    text: [
      `${grid.title}, epsilon ${grid.epsilon}; NDCG@10 in per cent without seen items`,
      ...maps,
      ...(quick ? [QUICK_REMARK] : []),
    ].join('\n\n'),
    rows: cells.map(({ model, learningRate, batchSize, seed, excludingSeen, includingSeen }) => ({
      ...{ model, learningRate, batchSize, seed, excludingSeen, includingSeen },
    })),
    ...{ cells: cells.length, planned: plan.length, interrupted, notCovered: GRID_NOT_COVERED },
  };
}

const gridOf = (quick: boolean): typeof FULL => (quick ? QUICK_GRID : FULL);

function pointsOf(quick: boolean): [batchSize: number, learningRate: number][] {
  const { batches, rates } = gridOf(quick);
  return batches.flatMap((batch) => rates.map((rate): [number, number] => [batch, rate]));
}

function meansOf(cells: readonly GridCell[], model: string, batch: number, rate: number): Statistic | null {
  const own = cells.filter((cell) => cell.model === model && cell.batchSize === batch && cell.learningRate === rate);
  return statistic(own.map(({ excludingSeen }) => 100 * excludingSeen.ndcg));
}

// A row a batch size, a column a rate; empty where nothing was run.
function tableOf(cells: readonly GridCell[], model: string, quick: boolean): [header: string[], rows: string[][]] {
  const { batches, rates } = gridOf(quick);
  const rows = batches.map((batch) => [
    String(batch),
    ...rates.map((rate) => statisticText(meansOf(cells, model, batch, rate))),
  ]);
  return [['batch', ...rates.map((rate) => `rate ${rate}`)], rows];
}

function report(grid: Grid, results: GridResults): string {
  const { cells, quick } = results;
  // Batch size and rate are the grid's, the width may be a model's.
  const { batchSize: _batch, learningRate: _rate, dim: _width, ...common } = results.options;
  const { batches, rates } = gridOf(quick);
  const best = Math.max(0, ...cells.map(({ excludingSeen }) => 100 * excludingSeen.ndcg));
  const shades = (model: string): number[][] =>
    batches.map((batch) => rates.map((rate) => (meansOf(cells, model, batch, rate)?.mean ?? 0) / (best || 1)));
  return page(`phantomgrad: ${grid.title}`, [
    paragraph(
      `NDCG@10 in per cent at epsilon ${grid.epsilon}, all items ranked without those of the history, mean (and spread) over seeds. A row of a ` +
        `map is a batch size, a column a learning rate, as in its table; the darkest square of all maps is ${best.toFixed(2)} %, what was not run is white.`,
    ),
    paragraph(grid.remark),
    ...(quick ? [paragraph(QUICK_REMARK)] : []),
    ...grid.models.flatMap(({ id, name }) => [
      heading(2, name),
      figure(heatMap(shades(id)), 'NDCG@10 by batch size and rate'),
      table(...tableOf(cells, id, quick)),
    ]),
    heading(2, 'Settings'),
    paragraph(`${settingsLine({ ...results, options: common })}. phantomgrad ${results.phantomgrad}.`),
    heading(2, 'What epsilon does not cover'),
    list(GRID_NOT_COVERED),
    heading(2, 'Where this is not the paper'),
    list(DEPARTURES),
  ]);
}
