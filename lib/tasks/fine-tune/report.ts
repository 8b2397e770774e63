// report.html of a fine-tuning run: what was measured, how the loss fell, and the privacy statement. It is not private, and says so.

import { join } from 'node:path';

import { replaceFile } from '../../files';
import type { PrivacyStatement } from '../../privacy';
import { figure, heading, page, paragraph, table } from '../../report/html';
import { lineChart, type Series } from '../../report/line-chart';
import { lossCurve } from '../run/curve';
import { RUN_FILES } from '../run/folder';
import type { FineTuneRow } from './train';

const NOTE =
  'Losses and measurements are computed from data without noise, and no epsilon covers them: this page is for whoever may see the data.';

/** Writes it beside metrics.jsonl, from which the curves are. */
export async function writeReport(
  folder: string,
  title: string,
  rows: readonly FineTuneRow[],
  { text }: Pick<PrivacyStatement, 'text'>,
): Promise<void> {
  const metrics = join(folder, RUN_FILES.metrics);
  const series: Series[] = (['private', 'plain'] as const)
    .map((role) => ({ name: role === 'plain' ? 'without privacy' : role, points: lossCurve(metrics, role) }))
    .filter(({ points }) => points.length > 0);
  const body = [
    paragraph(NOTE),
    heading(2, 'Held-out data'),
    ...rowTable(rows),
    heading(2, 'Training loss'),
    figure(
      lineChart(series, { x: 'epochs', y: 'mean loss of a record' }),
      'Each point: about a hundredth of the steps.',
    ),
    heading(2, 'Privacy'),
    paragraph(text),
  ];
  await replaceFile(join(folder, RUN_FILES.report), page(title, body));
}

function rowTable(rows: readonly FineTuneRow[]): string[] {
  const names = [...new Set(rows.flatMap(({ metrics }) => Object.keys(metrics)))];
  const cells = rows.map(({ name, metrics }) => [name, ...names.map((metric) => shown(metrics[metric]))]);
  return [table(['', ...names], cells)];
}

/** Four digits; nothing where a row does not have the number. */
export function shown(value: number | undefined): string {
  return value === undefined ? '' : String(Number(value.toPrecision(4)));
}
