// report.html of a run, made of what lies in its folder: what was measured, how it learned, and the privacy statement. It is not private.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import * as check from '../../check';
import { raise } from '../../errors';
import { replaceFile } from '../../files';
import { figure, heading, page, paragraph, table } from '../../report/html';
import { lineChart, type Series } from '../../report/line-chart';
import { accuracyCurve, heldOut, type Measured, lossCurve } from './curve';
import { readJson, RUN_FILES } from './folder';
import { metricName, rowName } from './names';

const NOTE =
  'Losses and measurements are computed from data without noise, and no epsilon covers them: this page is for whoever may see the data.';

/**
 * Writes report.html into a run folder, from metrics.jsonl and privacy.json that are there: what was measured, how it learned, the privacy
 * statement. Not private.
 *
 * @param title  Of the page. @returns Its path. @throws ERR_RUN_FOLDER where one of the two files is missing or damaged.
 */
export async function writeReport(folder: string, title: string): Promise<string> {
  check.text('report', { folder });
  check.anyText('report', { title });
  const { text } = await readJson(folder, RUN_FILES.privacy);
  if (typeof text !== 'string')
    return raise('ERR_RUN_FOLDER', `${join(folder, RUN_FILES.privacy)}: is no privacy statement: it has no text.`);
  const metrics = join(folder, RUN_FILES.metrics);
  if (!existsSync(metrics)) raise('ERR_RUN_FOLDER', `${metrics}: is missing; there is nothing to report.`);
  const rows = heldOut(metrics);
  const body = [
    paragraph(NOTE),
    heading(2, 'Held-out data'),
    ...(rows.length === 0 ? [paragraph('Nothing was measured: the run has not ended.')] : rowTable(rows)),
    ...accuracies(metrics),
    heading(2, 'Training loss'),
    figure(
      lineChart(losses(metrics), { x: 'epochs', y: 'mean loss of a record' }),
      'Each point: about a hundredth of the steps.',
    ),
    heading(2, 'Privacy'),
    paragraph(text),
  ];
  const path = join(folder, RUN_FILES.report);
  await replaceFile(path, page(title, body));
  return path;
}

function losses(metrics: string): Series[] {
  return (['private', 'plain'] as const)
    .map((role) => ({ name: role === 'plain' ? 'without privacy' : role, points: lossCurve(metrics, role) }))
    .filter(({ points }) => points.length > 0);
}

// Where accuracy was measured in training.
function accuracies(metrics: string): string[] {
  const curve = accuracyCurve(metrics);
  if (curve.length === 0) return [];
  const series: Series[] = (['hit', 'ndcg'] as const).map((metric) => ({
    name: `${metric.toUpperCase()}@10`,
    points: curve.map(({ epoch, excludingSeen }) => [epoch, excludingSeen[metric]]),
  }));
  const caption = 'Items of the history are left out of the ranking.';
  return [
    heading(2, 'Accuracy in training'),
    figure(lineChart(series, { x: 'epochs', y: 'HIT@10, NDCG@10' }), caption),
  ];
}

function rowTable(rows: readonly Measured[]): string[] {
  const names = [...new Set(rows.flatMap(({ metrics }) => Object.keys(metrics)))];
  const cells = rows.map(({ name, metrics }) => [rowName(name), ...names.map((metric) => shown(metrics[metric]))]);
  return [table(['', ...names.map(metricName)], cells)];
}

/** Four digits; nothing where a row does not have the number. */
export function shown(value: number | undefined): string {
  return value === undefined ? '' : String(Number(value.toPrecision(4)));
}
