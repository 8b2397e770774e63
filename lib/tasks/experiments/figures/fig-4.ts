// Figure 4: accuracy every five epochs, with and without Re-Attention, at two budgets.

import * as check from '../../../check';
import { native } from '../../../native';
import { figure, heading, list, page, paragraph, table } from '../../../report/html';
import { lineChart, type Series } from '../../../report/line-chart';
import { textTable } from '../../../report/table';
import type { Accuracy } from '../../ranking';
import { type ExperimentControl, type PlannedCell, runCells } from '../cells';
import type { AccuracyPoint } from '../../run/curve';
import { DEPARTURES, NOT_COVERED, QUICK_REMARK, rankingExperiment } from '../definitions';
import { rankingData } from '../ranking-data';
import { trainCell } from '../recommender-cell';
import type { Cell, Results } from '../results';
import type { ExperimentOutcome } from '../run';
import { ResultsStore } from '../store';
import { settingsLine, statistic, statisticText } from '../summary';

/** Names, and the accuracy table whose data and settings each takes. */
export const CONVERGENCE: Readonly<Record<string, { readonly title: string; readonly settings: string }>> = {
  'paper-fig-4': { title: 'Figure 4: convergence on MovieLens-1M', settings: 'paper-table-2' },
  'paper-fig-4-games': { title: 'Figure 4: convergence on Amazon Games', settings: 'paper-table-3' },
};

const EPSILONS = [5, 10] as const;
// Names that fit a legend.
const LINES = [
  { id: 'vanilla', name: 'vanilla', options: { reAttention: false } },
  { id: 'reAttention', name: 'Re-Attention', options: { reAttention: true } },
] as const;
const EVERY = 5;
const QUICK_EVERY = 0.01; // of the fiftieth of an epoch that a quick run has

/** @param name  Of {@link CONVERGENCE}. @throws as {@link runRankingExperiment}. */
export async function runFigure4(name: string, control: ExperimentControl): Promise<ExperimentOutcome> {
  const { quick = false, out, seeds = quick ? 1 : 5, resume = false } = control;
  check.integer(`experiment ${name}`, { seeds }, 1);
  const { title, settings } = CONVERGENCE[name] as (typeof CONVERGENCE)[string];
  const { head, options } = await rankingData(name, rankingExperiment(settings), control);
  native();
  const empty: Results = { ...head, yardsticks: {}, cells: [] };
  const store = await ResultsStore.open(out, empty, ['data', 'options'], resume);
  const plan = Array.from({ length: seeds }, (_, seed) => seed).flatMap((seed) =>
    EPSILONS.flatMap((epsilon) =>
      LINES.map(({ id: row, name: line, options: own }): PlannedCell<Cell> => ({
        key: `${row}-epsilon-${epsilon}-seed-${seed}`,
        title: `${line}, epsilon ${epsilon}, seed ${seed}`,
        is: (cell) => cell.row === row && cell.epsilon === epsilon && cell.seed === seed,
        run: async (folder) => {
          const all = { ...options, ...own, epsilon, seed };
          const trained = await trainCell(folder, all, control, quick ? QUICK_EVERY : EVERY);
          return (
            trained && { cell: { row, epsilon, seed, ...trained.cell }, beside: { yardsticks: trained.yardsticks } }
          );
        },
      })),
    ),
  );
  const interrupted = await runCells(store, plan, (results) => report(title, results), control);
  const { results } = store;
  return {
    text: [
      `${title}; NDCG@10 in per cent without seen items`,
      '',
      textTable(...tableOf(results, 'ndcg')),
      ...(quick ? ['', QUICK_REMARK] : []),
    ].join('\n'),
    rows: results.cells.map(({ row, epsilon, seed, accuracies }) => ({ row, epsilon, seed, accuracies })),
    ...{ cells: results.cells.length, planned: plan.length, interrupted, notCovered: NOT_COVERED },
  };
}

type Metric = keyof Accuracy;
const TITLES: Readonly<Record<Metric, string>> = { ndcg: 'NDCG@10', hit: 'HIT@10' };

interface Line {
  readonly name: string;
  /** Over seeds: epochs, and each seed's accuracies. */
  readonly points: readonly { readonly epoch: number; readonly values: readonly AccuracyPoint[] }[];
}

function linesOf({ cells }: Results): Line[] {
  return EPSILONS.flatMap((epsilon) =>
    LINES.flatMap(({ id, name }) => {
      const own = cells.filter((cell) => cell.row === id && cell.epsilon === epsilon);
      const [first] = own;
      if (first === undefined) return [];
      const points = (first.accuracies ?? []).map(({ epoch }, k) => ({
        epoch,
        values: own.flatMap(({ accuracies }) => accuracies?.[k] ?? []),
      }));
      return [{ name: `${name}, epsilon ${epsilon}`, points }];
    }),
  );
}

function tableOf(results: Results, metric: Metric): [header: string[], rows: string[][]] {
  const lines = linesOf(results);
  const epochs = lines[0]?.points.map(({ epoch }) => epoch) ?? [];
  const rows = epochs.map((epoch, k) => [
    String(Number(epoch.toPrecision(3))),
    ...lines.map(({ points }) =>
      statisticText(statistic(points[k]?.values.map((value) => 100 * value.excludingSeen[metric]) ?? [])),
    ),
  ]);
  return [['epoch', ...lines.map(({ name }) => name)], rows];
}

function seriesOf(results: Results, metric: Metric): Series[] {
  return linesOf(results).map(({ name, points }) => ({
    name,
    points: points.map(({ epoch, values }) => {
      const { mean } = statistic(values.map((value) => 100 * value.excludingSeen[metric])) as { mean: number };
      return [epoch, mean] as const;
    }),
  }));
}

function report(title: string, results: Results): string {
  return page(`phantomgrad: ${title}`, [
    paragraph(
      'Accuracy on the held-out items while the model trains: per cent, all items ranked without those of the history, mean (and spread) over ' +
        'seeds. No epsilon covers it. The paper draws these curves and prints no numbers of them.',
    ),
    ...(results.quick ? [paragraph(QUICK_REMARK)] : []),
    ...(['ndcg', 'hit'] as const).flatMap((metric) => [
      heading(2, TITLES[metric]),
      figure(lineChart(seriesOf(results, metric), { x: 'epoch', y: `${TITLES[metric]}, %` }), 'mean over seeds'),
      table(...tableOf(results, metric)),
    ]),
    heading(2, 'Settings'),
    paragraph(`${settingsLine(results)}. phantomgrad ${results.phantomgrad}.`),
    heading(2, 'What epsilon does not cover'),
    list(NOT_COVERED),
    heading(2, 'Where this is not the paper'),
    list(DEPARTURES),
  ]);
}
