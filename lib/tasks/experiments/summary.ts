// From cells to a table: mean and spread over seeds, beside the paper's numbers.

import { textTable } from '../../report/table';
import { EPSILONS, QUICK_REMARK, type RankingExperiment } from './definitions';
import type { PaperCell } from './paper-numbers';
import type { Cell, Results, ResultsHead } from './results';

export interface Statistic {
  readonly mean: number;
  /** Standard deviation over seeds; null for one seed. */
  readonly spread: number | null;
}

/** A row and a budget; what was not run is null. Accuracies in per cent. */
export interface SummaryRow {
  readonly row: string;
  readonly name: string;
  readonly epsilon: number;
  readonly seeds: number;
  /** The largest of the seeds, rounded up. */
  readonly epsilonSpent: number | null;
  readonly hit: Statistic | null;
  readonly ndcg: Statistic | null;
  readonly hitIncludingSeen: Statistic | null;
  readonly ndcgIncludingSeen: Statistic | null;
  /** null where the paper has no such row or budget. */
  readonly paper: PaperCell | null;
}

export function statistic(values: readonly number[]): Statistic | null {
  if (values.length === 0) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length === 1) return { mean, spread: null };
  return { mean, spread: Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (values.length - 1)) };
}

export function summarise({ paper, rows, epsilons }: RankingExperiment, { cells }: Results): SummaryRow[] {
  return epsilons.flatMap((epsilon) =>
    rows.map(({ id, name }) => {
      const own = cells.filter((cell) => cell.row === id && cell.epsilon === epsilon);
      const over = (value: (cell: Cell) => number): Statistic | null => statistic(own.map((cell) => 100 * value(cell)));
      const spent = Math.max(...own.map(({ privacy }) => privacy.epsilon));
      return {
        row: id,
        name,
        epsilon,
        seeds: own.length,
        epsilonSpent: own.length === 0 ? null : Math.ceil(spent * 1000) / 1000,
        hit: over(({ excludingSeen }) => excludingSeen.hit),
        ndcg: over(({ excludingSeen }) => excludingSeen.ndcg),
        hitIncludingSeen: over(({ includingSeen }) => includingSeen.hit),
        ndcgIncludingSeen: over(({ includingSeen }) => includingSeen.ndcg),
        paper: paper?.[id]?.[EPSILONS.findIndex((budget) => budget === epsilon)] ?? null,
      };
    }),
  );
}

const MEASURED = ['model', 'epsilon', 'spent', 'seeds', 'HIT@10', 'NDCG@10', 'HIT incl. seen', 'NDCG incl. seen'];

/** Header and cells of the summary; empty where nothing was run. The paper's columns stand where the paper has the experiment. */
export function accuracyTable(
  experiment: RankingExperiment,
  results: Results,
): { header: string[]; lines: string[][] } {
  const ofPaper = experiment.paper !== undefined;
  return {
    header: [...MEASURED, ...(ofPaper ? ['paper HIT', 'paper NDCG'] : [])],
    lines: summarise(experiment, results).map((row) => [...measured(row), ...(ofPaper ? published(row) : [])]),
  };
}

function measured({ name, epsilon, epsilonSpent, seeds, ...row }: SummaryRow): string[] {
  return [
    name,
    String(epsilon),
    epsilonSpent?.toFixed(3) ?? '',
    seeds === 0 ? '' : String(seeds),
    ...[row.hit, row.ndcg, row.hitIncludingSeen, row.ndcgIncludingSeen].map(statisticText),
  ];
}

function published({ paper }: SummaryRow): string[] {
  return paper === null ? ['', ''] : [paper.hit, paper.ndcg].map(([mean, spread]) => statisticText({ mean, spread }));
}

/** `row - other` over the seeds that both have; null where there are none. */
export function pairedGain(
  { cells }: Results,
  epsilon: number,
  row: string,
  other: string,
): { hit: Statistic; ndcg: Statistic } | null {
  const of = (id: string): Cell[] => cells.filter((cell) => cell.row === id && cell.epsilon === epsilon);
  const others = of(other);
  const pairs = of(row).flatMap((cell) => {
    const twin = others.find(({ seed }) => seed === cell.seed);
    return twin === undefined ? [] : [[cell.excludingSeen, twin.excludingSeen] as const];
  });
  const hit = statistic(pairs.map(([a, b]) => 100 * (a.hit - b.hit)));
  const ndcg = statistic(pairs.map(([a, b]) => 100 * (a.ndcg - b.ndcg)));
  return hit === null || ndcg === null ? null : { hit, ndcg };
}

/** Lines on {@link pairedGain}, one for every budget and pair of rows that has seeds. */
export function gainLines({ rows, epsilons }: RankingExperiment, results: Results): string[] {
  const nameOf = (id: string): string => rows.find((row) => row.id === id)?.name ?? id;
  return epsilons.flatMap((epsilon) =>
    rows.flatMap(({ id, name, against }) => {
      const gain = against === undefined ? null : pairedGain(results, epsilon, id, against);
      if (gain === null) return [];
      const { hit, ndcg } = gain;
      return [
        `«${name}» minus «${nameOf(against as string)}» at epsilon ${epsilon}, same seeds: ` +
          `HIT@10 ${statisticText(hit)}, NDCG@10 ${statisticText(ndcg)}`,
      ];
    }),
  );
}

const VALIDATION_REMARK =
  'Measured on the item before the last of each user: for choosing settings, not for comparing with others. ';

/** Data and settings; what is not among the options is left out, because the cells differ in it. */
export function settingsLine({ options, data }: ResultsHead): string {
  const { epochs, batchSize, learningRate, weightDecay, dim, maxLength, dropout, delta } = options;
  const settings = [
    ['epochs', epochs],
    ['batch', batchSize],
    ['rate', learningRate],
    ['weight decay', weightDecay],
    ['dim', dim],
    ['max length', maxLength],
    ['dropout', dropout],
    ['delta', delta?.toPrecision(3)],
  ].flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`]));
  return (
    `${data.name}: ${data.users} users, ${data.items} items, ${data.actions} training actions. ` +
    `${options.validation === true ? VALIDATION_REMARK : ''}Adam with 20 % warm-up and linear decay, normalised gradients; ${settings.join(', ')}`
  );
}

/** Where the data are not the paper's; null where they look the same. */
export function dataRemark({ data: paper }: RankingExperiment, { data }: Results): string | null {
  if (data.users === paper.users && data.items === paper.items) return null;
  return `These are not the paper's data: ${paper.name} comes to ${paper.users} users and ${paper.items} items here.`;
}

/** For a terminal. */
export function rankingText(experiment: RankingExperiment, results: Results): string {
  const remark = dataRemark(experiment, results);
  const { header, lines } = accuracyTable(experiment, results);
  return [
    `${experiment.title}; accuracies in per cent, mean ± spread over seeds`,
    '',
    textTable(header, lines),
    '',
    ...gainLines(experiment, results),
    settingsLine(results),
    ...(remark === null ? [] : [remark]),
    ...(results.quick ? [QUICK_REMARK] : []),
  ].join('\n');
}

/** Two digits, with the spread where there is one; empty for nothing. */
export function statisticText(value: Statistic | null): string {
  if (value === null) return '';
  return value.spread === null ? value.mean.toFixed(2) : `${value.mean.toFixed(2)} ± ${value.spread.toFixed(2)}`;
}
