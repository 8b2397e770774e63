// report.html of an accuracy table: numbers, learning curves, settings, and what ε does not cover.

import { figure, heading, list, page, paragraph, table } from '../../report/html';
import { lineChart } from '../../report/line-chart';
import { DEPARTURES, NOT_COVERED, QUICK_REMARK, type RankingExperiment } from './definitions';
import type { Results } from './results';
import { accuracyTable, dataRemark, gainLines, settingsLine } from './summary';

export function rankingReport(experiment: RankingExperiment, results: Results): string {
  const remark = dataRemark(experiment, results);
  const { header, lines } = accuracyTable(experiment, results);
  return page(`phantomgrad: ${experiment.title}`, [
    paragraph(
      `HIT@10 and NDCG@10 in per cent, all items ranked, mean ± spread (standard deviation) over seeds. An empty cell was not run. ` +
        `Items of the history are left out of the ranking, or ranked too («incl. seen»).` +
        (experiment.paper === undefined ? '' : " The paper's numbers stand in the last columns."),
    ),
    ...(results.quick ? [paragraph(QUICK_REMARK)] : []),
    ...(remark === null ? [] : [paragraph(remark)]),
    table(header, lines),
    ...(results.cells.length === 0
      ? [paragraph('No cell has been run yet.')]
      : gainLines(experiment, results).map(paragraph)),
    ...yardsticks(results),
    heading(2, 'Settings'),
    paragraph(`${settingsLine(results)}. phantomgrad ${results.phantomgrad}.`),
    ...learningCurves(experiment, results),
    heading(2, 'What epsilon does not cover'),
    list(NOT_COVERED),
    heading(2, 'Where this is not the paper'),
    list(DEPARTURES),
  ]);
}

function learningCurves({ rows, epsilons }: RankingExperiment, { cells }: Results): string[] {
  const charts = epsilons.flatMap((epsilon) => {
    const series = rows.flatMap(({ id, name }) => {
      const own = cells.filter((cell) => cell.row === id && cell.epsilon === epsilon);
      const [first] = own.sort((a, b) => a.seed - b.seed);
      return first === undefined ? [] : [{ name, points: first.losses }];
    });
    return series.length === 0 ? [] : [figure(lineChart(series, { x: 'epoch', y: 'loss' }), `epsilon ${epsilon}`)];
  });
  if (charts.length === 0) return [];
  const of = 'Training loss of the first seed. Computed from private data without noise.';
  return [heading(2, 'Learning curves'), paragraph(of), ...charts];
}

function yardsticks({ yardsticks: scorers }: Results): string[] {
  const rows = Object.entries(scorers).map(([name, { excludingSeen, includingSeen }]) => [
    name,
    ...[excludingSeen.hit, excludingSeen.ndcg, includingSeen.hit, includingSeen.ndcg].map((value) =>
      (100 * value).toFixed(2),
    ),
  ]);
  if (rows.length === 0) return [];
  const header = ['without training', 'HIT@10', 'NDCG@10', 'HIT incl. seen', 'NDCG incl. seen'];
  return [table(header, rows)];
}
