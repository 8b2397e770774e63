// Figure 6: what the histories look like, as a table, how often items occur by rank, and how long histories are.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Interactions } from '../../../data';
import { replaceFile } from '../../../files';
import { barChart } from '../../../report/bar-chart';
import { figure, page, paragraph, table } from '../../../report/html';
import { lineChart } from '../../../report/line-chart';
import { textTable } from '../../../report/table';
import { VERSION } from '../../../version';
import { loadHistories } from '../../recommender/data';
import { resolveOptions } from '../../recommender/options';
import { refuseOccupied } from '../../run/folder';
import type { ExperimentControl } from '../cells';
import type { ExperimentOutcome } from '../run';
import { REPORT_FILE, RESULTS_FILE } from '../store';
import { refuseCells, sourceOf } from './source';

export interface Distribution {
  readonly users: number;
  readonly items: number;
  readonly actions: number;
  /** Share of all pairs of user and item that are there. */
  readonly density: number;
  readonly meanLength: number;
  /** Lengths from, to, and how many users have them. */
  readonly lengths: readonly { readonly from: number; readonly to: number; readonly users: number }[];
  /** Actions of the item of each rank, at about ten ranks a power of ten. */
  readonly popularity: readonly (readonly [rank: number, actions: number])[];
  /** Share of the actions that the most frequent tenth of the items has. */
  readonly topTenth: number;
}

const NAME = 'paper-fig-6';
const TITLE = 'Figure 6: the data';
const NOT_PRIVATE = 'Counted from the data without noise: do not publish this of private data.';

/** @throws ERR_INVALID_ARGUMENT, ERR_DATA_FORMAT, ERR_RUN_FOLDER */
export async function runFigure6(control: ExperimentControl): Promise<ExperimentOutcome> {
  refuseCells(NAME, control);
  const file = sourceOf(NAME, control, { madeUp: 'without data' });
  await refuseOccupied(control.out);
  const { interactions, source } = await loadHistories(resolveOptions({ ...file, quick: control.quick ?? false }));
  const data = source.kind === 'file' ? source.name : 'made-up histories';
  const distribution = describeDistribution(interactions);
  await mkdir(control.out, { recursive: true });
  const results = { experiment: NAME, phantomgrad: VERSION, data, distribution };
  await replaceFile(join(control.out, RESULTS_FILE), `${JSON.stringify(results, null, 2)}\n`);
  await replaceFile(join(control.out, REPORT_FILE), report(data, distribution));
  const text = `${TITLE}: ${data}\n\n${textTable(HEADER, [line(distribution)])}\n\n${NOT_PRIVATE}`;
  return { text, rows: [distribution], cells: 0, planned: 0, interrupted: false, notCovered: [] };
}

/** Of the training part: the last item of each user is held out. */
export function describeDistribution(interactions: Interactions): Distribution {
  const { train } = interactions.split();
  const counts = new Float64Array(train.itemCount);
  const lengths = Array.from({ length: train.length }, (_, user) => train.lengthOf(user));
  for (let user = 0; user < train.length; user++) {
    for (const item of train.sequence(user)) counts[item - 1] = (counts[item - 1] as number) + 1;
  }
  counts.sort().reverse();
  const { length: users, itemCount: items, actions } = train;
  const top = counts.subarray(0, Math.ceil(items / 10)).reduce((sum, count) => sum + count, 0);
  return {
    ...{ users, items, actions, density: actions / (users * items), meanLength: actions / users },
    lengths: doublings(lengths),
    popularity: ranks(items).map((rank) => [rank, counts[rank - 1] as number]),
    topTenth: top / actions,
  };
}

function doublings(lengths: readonly number[]): Distribution['lengths'] {
  const longest = Math.max(1, ...lengths);
  const starts = Array.from({ length: Math.floor(Math.log2(longest)) + 1 }, (_, k) => 2 ** k);
  return starts.map((from) => {
    const to = 2 * from - 1;
    return { from, to, users: lengths.filter((length) => length >= from && length <= to).length };
  });
}

function ranks(items: number): number[] {
  const steps = Math.ceil(10 * Math.log10(items)) + 1;
  return [...new Set(Array.from({ length: steps }, (_, k) => Math.min(items, Math.round(10 ** (k / 10)))))];
}

const HEADER = ['users', 'items', 'actions', 'density', 'mean length', 'actions of the top tenth'];

function line({ users, items, actions, density, meanLength, topTenth }: Distribution): string[] {
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
  return [String(users), String(items), String(actions), percent(density), meanLength.toFixed(2), percent(topTenth)];
}

function report(data: string, distribution: Distribution): string {
  const points = distribution.popularity
    .filter(([, actions]) => actions > 0)
    .map(([rank, actions]) => [Math.log10(rank), Math.log10(actions)] as const);
  const bars = distribution.lengths.map(({ from, to, users }) => ({
    name: from === to ? String(from) : `${from}–${to}`,
    value: users,
  }));
  return page(`phantomgrad: ${TITLE}`, [
    paragraph(`${data}, training part: the last item of each user is held out. ${NOT_PRIVATE}`),
    table(HEADER, [line(distribution)]),
    paragraph('The paper: MovieLens-1M 4.79 % dense, Amazon Games 0.04 % with 22,266 items.'),
    figure(
      lineChart([{ name: 'items', points }], { x: 'log10 of the rank', y: 'log10 of actions' }),
      'how often items occur',
    ),
    figure(barChart(bars, { x: 'actions of a user', y: 'users' }), 'how long histories are'),
  ]);
}
