// Figure 10: attention maps of five histories, after private training with and without Re-Attention.

import * as check from '../../../check';
import { raise } from '../../../errors';
import { figure, heading, list, page, paragraph, table } from '../../../report/html';
import { heatMap } from '../../../report/heat-map';
import { textTable } from '../../../report/table';
import { SequentialTransformer } from '../../../models/sequential-transformer';
import { native } from '../../../native';
import { VERSION } from '../../../version';
import { type RecommenderOptions, trainRecommender } from '../../recommender';
import { loadHistories } from '../../recommender/data';
import { resolveOptions } from '../../recommender/options';
import { readRun } from '../../recommender/run-folder';
import { type ExperimentControl, type PlannedCell, runCells } from '../cells';
import { EPSILONS, NOT_COVERED, QUICK, rankingExperiment } from '../definitions';
import { type CellPrivacy, cellPrivacy } from '../recommender-cell';
import type { ExperimentOutcome } from '../run';
import { type Head, ResultsStore } from '../store';
import { sourceOf } from './source';

type AttentionRow = 'vanilla' | 'reAttention';

interface AttentionCell {
  readonly row: AttentionRow;
  readonly epsilon: number;
  readonly privacy: CellPrivacy;
  /** `[histories][L][L]` of the first block's one head, three digits. */
  readonly maps: readonly (readonly (readonly number[])[])[];
}

interface AttentionResults extends Head {
  readonly data: { readonly name: string; readonly users: number; readonly items: number };
  readonly options: RecommenderOptions;
  readonly cells: readonly AttentionCell[];
}

const NAME = 'paper-fig-10';
const TITLE = 'Figure 10: attention maps';
const HISTORIES = 5;
const SHOWN = 30;
const QUICK_EPSILONS = [8] as const;

/** @throws as {@link runRankingExperiment}. */
export async function runFigure10(control: ExperimentControl): Promise<ExperimentOutcome> {
  const { quick = false, out, resume = false, seeds = 1, device, signal, onEvent } = control;
  check.integer(`experiment ${NAME}`, { seeds }, 1, 1);
  const file = sourceOf(NAME, control, { madeUp: 'quick only' });
  native();
  const settings = quick ? QUICK : rankingExperiment('paper-table-2').options;
  const { interactions, source } = await loadHistories(resolveOptions({ ...settings, ...file }));
  const options = { ...settings, delta: 1 / interactions.users };
  const { train } = interactions.split();
  const histories = longest(Array.from({ length: train.length }, (_, user) => train.lengthOf(user))).map((user) =>
    train.sequence(user).slice(-SHOWN),
  );
  const name = source.kind === 'file' ? source.name : 'made-up histories';
  const empty: AttentionResults = {
    ...{ experiment: NAME, quick, phantomgrad: VERSION, options, cells: [] },
    data: { name, users: interactions.users, items: interactions.itemCount },
  };
  const store = await ResultsStore.open(out, empty, ['data', 'options'], resume);
  const plan = (quick ? QUICK_EPSILONS : EPSILONS).flatMap((epsilon) =>
    (['vanilla', 'reAttention'] as const).map((row): PlannedCell<AttentionCell> => ({
      key: `${row}-epsilon-${epsilon}`,
      title: `${nameOf(row)}, epsilon ${epsilon}`,
      is: (cell) => cell.row === row && cell.epsilon === epsilon,
      run: async (folder) => {
        const { privacy, interrupted } = await trainRecommender(
          { ...options, ...file, ...(device !== undefined && { device }), reAttention: row === 'reAttention', epsilon },
          { out: folder, resume: 'auto', ...(onEvent && { onEvent }), ...(signal && { signal }) },
        );
        if (interrupted) return null;
        return { cell: { row, epsilon, privacy: cellPrivacy(privacy), maps: await mapsOf(folder, histories) } };
      },
    })),
  );
  const interrupted = await runCells(store, plan, report, control);
  const { cells } = store.results;
  return {
    ...{ text: text(store.results), rows: cells.map(summary), cells: cells.length, planned: plan.length, interrupted },
    notCovered: [...NOT_COVERED, 'attention maps of histories: they show what single users did'],
  };
}

// Long enough to have something to look at; the same ones whatever was trained.
function longest(lengths: readonly number[]): number[] {
  const users = lengths.map((length, user) => ({ length: Math.min(length, SHOWN), user }));
  return users
    .sort((a, b) => b.length - a.length || a.user - b.user)
    .slice(0, HISTORIES)
    .map(({ user }) => user);
}

async function mapsOf(folder: string, histories: readonly Int32Array[]): Promise<AttentionCell['maps']> {
  const { model } = await readRun(folder);
  try {
    if (!(model instanceof SequentialTransformer)) {
      return raise('ERR_RUN_FOLDER', `${folder}: holds no Transformer, so there is no attention to look at.`);
    }
    return histories.map((history) => {
      const [first] = model.attentionMaps(history);
      return (first?.[0] ?? []).map((row) => row.map((weight) => Math.round(1000 * weight) / 1000));
    });
  } finally {
    model.dispose();
  }
}

const nameOf = (row: AttentionRow): string => (row === 'vanilla' ? 'plain attention' : 'Re-Attention');

// Where attention goes, in two numbers: how far a row is from even, and how much the most looked-at column gets.
function summary({ row, epsilon, privacy, maps }: AttentionCell): Record<string, number | string> {
  const entropies = maps.map((map) => evenness(map));
  const columns = maps.map((map) => strongestColumn(map));
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  return { row, epsilon, epsilonSpent: privacy.epsilon, evenness: mean(entropies), strongestColumn: mean(columns) };
}

/** Mean entropy of the rows that see two positions and more, by that of even attention: 1 is even. */
export function evenness(map: readonly (readonly number[])[]): number {
  const rows = map.slice(1).map((row, k) => {
    const total = row.reduce((sum, weight) => sum + weight, 0);
    const entropy = row.reduce((sum, w) => (w > 0 ? sum - (w / total) * Math.log(w / total) : sum), 0);
    return entropy / Math.log(k + 2);
  });
  return rows.reduce((sum, value) => sum + value, 0) / Math.max(1, rows.length);
}

/** The largest mean that a position gets from those that see it. */
export function strongestColumn(map: readonly (readonly number[])[]): number {
  const means = map.map((_, column) => {
    const seen = map.slice(column).map((row) => row[column] as number);
    return seen.length < 2 ? 0 : seen.reduce((sum, weight) => sum + weight, 0) / seen.length;
  });
  return Math.max(0, ...means);
}

const HEADER = ['model', 'epsilon', 'spent', 'evenness', 'strongest column'];

function lines({ cells }: AttentionResults): string[][] {
  return cells.map((cell) => {
    const { evenness: even, strongestColumn: column } = summary(cell);
    const spent = (Math.ceil(cell.privacy.epsilon * 1000) / 1000).toFixed(3);
    return [nameOf(cell.row), String(cell.epsilon), spent, Number(even).toFixed(3), Number(column).toFixed(3)];
  });
}

const REMARK =
  'Evenness: entropy of a row by that of even attention. Strongest column: the largest mean weight that one position gets from those that ' +
  'see it; attention that is distracted has dark columns.';

function text(results: AttentionResults): string {
  return [`${TITLE}; ${results.data.name}`, '', textTable(HEADER, lines(results)), '', REMARK].join('\n');
}

function report(results: AttentionResults): string {
  return page(`phantomgrad: ${TITLE}`, [
    paragraph(
      `The first block of models trained on ${results.data.name}, on five of the histories that they were trained on, the last ${SHOWN} items ` +
        `of each. Row: a position; column: what it looks at; dark: much. These maps show single users: do not publish them of private data.`,
    ),
    ...(results.quick ? [paragraph('A quick run: it shows that everything works, not what training learns.')] : []),
    table(HEADER, lines(results)),
    paragraph(REMARK),
    ...results.cells.flatMap(({ row, epsilon, maps }) => [
      heading(3, `${nameOf(row)}, epsilon ${epsilon}`),
      figure(maps.map((map) => heatMap(map)).join(' '), 'five histories'),
    ]),
    heading(2, 'What epsilon does not cover'),
    list(NOT_COVERED),
  ]);
}
