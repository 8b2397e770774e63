// What a recommender run or an evaluation says at its end, for people and for machines.

import { textTable } from '../report/table';
import type { RecommenderReport } from '../tasks';
import { metricName, type Row, rowName } from '../tasks/recommender';
import { small } from './progress';

const METRICS = ['hitAt10', 'ndcgAt10', 'hitAt10IncludingSeen', 'ndcgAt10IncludingSeen'] as const;
const KINDS = { transformer: 'Transformer', gru: 'GRU', lstm: 'LSTM' } as const;

/** Accuracy of each row; with `includeSeen` also when items of the history are ranked. */
export function rowTable(
  rows: readonly Row[],
  includeSeen: boolean,
  model: keyof typeof KINDS = 'transformer',
): string {
  const digits = (value: number): string => value.toFixed(4);
  return textTable(
    ['', ...METRICS.slice(0, includeSeen ? 4 : 2).map(metricName)],
    rows.map(({ name, hit, ndcg, includingSeen }) => [
      name === 'private' ? `private ${KINDS[model]}` : rowName(name),
      digits(hit),
      digits(ndcg),
      ...(includeSeen ? [digits(includingSeen.hit), digits(includingSeen.ndcg)] : []),
    ]),
  );
}

/** What was spent, in privacy and in resources. */
export function runSummary(report: RecommenderReport): string {
  return spentLines(report, 'one user');
}

/** @param one  What a record is. */
export function spentLines(
  {
    privacy,
    out,
    secondsPerEpoch,
    peakRssMb,
    interrupted,
  }: Pick<RecommenderReport, 'privacy' | 'out' | 'secondsPerEpoch' | 'peakRssMb' | 'interrupted'>,
  one: string,
): string {
  const { epsilon, delta, noiseMultiplier, steps, lostSteps, accountant } = privacy;
  const lost = lostSteps === 0 ? '' : ` and ${lostSteps} that were lost`;
  const goOn = out === null ? '' : ` Go on with --resume ${out}`;
  return [
    ...(interrupted ? [`Interrupted after ${steps} steps.${goOn}`] : []),
    `Privacy spent: epsilon ${roundedUp(epsilon)} at delta ${small(delta)}, for adding or removing ${one}`,
    `  (noise multiplier ${noiseMultiplier.toFixed(4)}, ${steps} steps${lost}, accountant ${accountant}; accuracies and choice of options are not covered)`,
    `${secondsPerEpoch.toFixed(1)} s an epoch, ${Math.round(peakRssMb)} MB at most`,
    ...(out === null ? [] : [`Saved: ${out}`]),
  ].join('\n');
}

// Never less than what was spent.
function roundedUp(epsilon: number): string {
  return Number.isFinite(epsilon) ? (Math.ceil(epsilon * 1000) / 1000).toFixed(3) : String(epsilon);
}

/** The object of `train recommender --json`: the names of its fields are a promise. */
export function runJson(report: RecommenderReport, includeSeen: boolean): object {
  const { privacy, rows, secondsPerEpoch, peakRssMb, interrupted, out } = report;
  const { epsilon, delta, noiseMultiplier, steps, lostSteps } = privacy;
  const accuracy = interrupted ? { interrupted } : rowsJson(rows, includeSeen);
  return { epsilon, delta, noiseMultiplier, steps, lostSteps, ...accuracy, secondsPerEpoch, peakRssMb, out };
}

/** Accuracies by name: `hitAt10` of the model, `popularityHitAt10`, `markovHitAt10`, and what else was measured. */
export function rowsJson(rows: readonly Row[], includeSeen: boolean): Record<string, number> {
  const json: Record<string, number> = {};
  for (const { name, hit, ndcg, includingSeen } of rows) {
    const [hitName, ndcgName] = name === 'private' ? ['hitAt10', 'ndcgAt10'] : [`${name}HitAt10`, `${name}NdcgAt10`];
    json[hitName] = hit;
    json[ndcgName] = ndcg;
    if (!includeSeen) continue;
    json[`${hitName}IncludingSeen`] = includingSeen.hit;
    json[`${ndcgName}IncludingSeen`] = includingSeen.ndcg;
  }
  return json;
}
