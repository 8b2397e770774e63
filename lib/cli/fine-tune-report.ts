// What a fine-tuning run or an evaluation says at its end, for people and for machines.

import { textTable } from '../report/table';
import type { FineTuneReport, FineTuneRow } from '../tasks';
import { metricName, rowName, shown } from '../tasks/fine-tune';
import { spentLines } from './recommender-report';

/** One line a model or yardstick, one column a metric. */
export function fineTuneTable(rows: readonly FineTuneRow[]): string {
  const metrics = [...new Set(rows.flatMap((row) => Object.keys(row.metrics)))];
  return textTable(
    ['', ...metrics.map(metricName)],
    rows.map((row) => [rowName(row.name), ...metrics.map((metric) => shown(row.metrics[metric]))]),
  );
}

/** What was spent, in privacy and in resources. */
export function fineTuneSummary({ privacy, statement, out, ...report }: FineTuneReport): string {
  return spentLines({ privacy, out, ...report }, statement.unit);
}

/** The object of `--json`: the names of its fields are a promise. */
export function fineTuneJson(report: FineTuneReport): object {
  const { task, privacy, rows, secondsPerEpoch, peakRssMb, interrupted, out } = report;
  const { epsilon, delta, noiseMultiplier, steps, lostSteps } = privacy;
  const measured = interrupted ? { interrupted } : rowsJson(rows);
  return { task, epsilon, delta, noiseMultiplier, steps, lostSteps, ...measured, secondsPerEpoch, peakRssMb, out };
}

/** Metrics by name: `accuracy` of the private model, `majorityAccuracy`, `retrievalBleu`, and what else was measured. */
export function rowsJson(rows: readonly FineTuneRow[]): Record<string, number> {
  return Object.fromEntries(
    rows.flatMap(({ name, metrics }) =>
      Object.entries(metrics).map(([metric, value]) => [name === 'private' ? metric : name + capital(metric), value]),
    ),
  );
}

const capital = (word: string): string => word.slice(0, 1).toUpperCase() + word.slice(1);
