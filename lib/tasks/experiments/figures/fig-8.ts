// Figure 8: peak memory and steps a second against batch size, private and not, with a shared table and without.

import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';

import * as check from '../../../check';
import { raise } from '../../../errors';
import { native } from '../../../native';
import { figure, heading, page, paragraph, table } from '../../../report/html';
import { lineChart } from '../../../report/line-chart';
import { textTable } from '../../../report/table';
import { VERSION } from '../../../version';
import { loadHistories } from '../../recommender/data';
import { resolveOptions } from '../../recommender/options';
import { type ExperimentControl, type PlannedCell, runCells } from '../cells';
import type { ExperimentOutcome } from '../run';
import { type Head, ResultsStore } from '../store';
import { sourceOf } from './source';
import type { Cost, CostJob, Variant } from './step-cost';

interface CostCell {
  readonly variant: Variant;
  readonly batch: number;
  /** Null where the process ended before it was done: out of memory, most likely. */
  readonly cost: Cost | null;
}

interface CostResults extends Head {
  readonly data: { readonly name: string; readonly users: number; readonly items: number };
  readonly settings: {
    readonly batches: readonly number[];
    readonly steps: number;
    readonly dim: number;
    readonly maxLength: number;
  };
  readonly cells: readonly CostCell[];
}

const NAME = 'paper-fig-8';
const TITLE = 'Figure 8: memory and speed';

const VARIANTS: readonly { readonly id: Variant; readonly name: string }[] = [
  { id: 'ours', name: 'private, shared table' },
  { id: 'pieces', name: 'the same, in pieces' },
  { id: 'ghost', name: 'private, no sharing, d/2' },
  { id: 'plain', name: 'without privacy' },
];

const FULL = { batches: [64, 128, 256, 512, 1024, 2048, 4096], steps: 3, dim: 64, maxLength: 200 };
const QUICK = { batches: [16], steps: 1, dim: 16, maxLength: 20 };

/** @throws ERR_INVALID_ARGUMENT, ERR_DATA_FORMAT, ERR_RUN_FOLDER before anything is measured. */
export async function runFigure8(control: ExperimentControl): Promise<ExperimentOutcome> {
  const { quick = false, out, resume = false, seeds = 1 } = control;
  check.integer(`experiment ${NAME}`, { seeds }, 1, 1);
  const file = sourceOf(NAME, control, { madeUp: 'without data' });
  native();
  const settings = quick ? QUICK : FULL;
  const { interactions, source } = await loadHistories(resolveOptions({ ...file, quick }));
  const { train } = interactions.split();
  const batches = settings.batches.filter((batch) => batch <= train.length);
  if (batches.length === 0) {
    raise(
      'ERR_DATA_FORMAT',
      `experiment ${NAME}: ${train.length} users are fewer than the smallest batch, ${settings.batches[0]}.`,
    );
  }
  const name = source.kind === 'file' ? source.name : 'made-up histories';
  const empty: CostResults = {
    ...{ experiment: NAME, quick, phantomgrad: VERSION, settings: { ...settings, batches }, cells: [] },
    data: { name, users: interactions.users, items: interactions.itemCount },
  };
  const store = await ResultsStore.open(out, empty, ['data', 'settings'], resume);
  const { items } = empty.data;
  const plan = batches.flatMap((batch) =>
    VARIANTS.map(({ id: variant, name: title }): PlannedCell<CostCell> => ({
      key: `${variant}-${batch}`,
      title: `${title}, batch ${batch}`,
      is: (cell) => cell.variant === variant && cell.batch === batch,
      run: async (folder) => {
        // Users that stand far apart in the file, the same for every variant.
        const histories = Array.from({ length: batch }, (_, k) => [
          ...train.sequence(Math.floor((k * train.length) / batch)),
        ]);
        const { steps, dim, maxLength } = settings;
        return {
          cell: { variant, batch, cost: await costOf(folder, { variant, steps, dim, maxLength, items, histories }) },
        };
      },
    })),
  );
  const interrupted = await runCells(store, plan, report, control);
  const { cells } = store.results;
  return {
    ...{ text: text(store.results), rows: cells, cells: cells.length, planned: plan.length, interrupted },
    notCovered: [],
  };
}

async function costOf(folder: string, job: Omit<CostJob, 'result'>): Promise<Cost | null> {
  await mkdir(folder, { recursive: true });
  const [input, result] = [join(folder, 'job.json'), join(folder, 'cost.json')];
  await writeFile(input, JSON.stringify({ ...job, result }));
  const script = join(__dirname, `step-cost${extname(__filename)}`);
  const child = spawn(process.execPath, [...process.execArgv, script, input], { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors = `${errors}${chunk}`.slice(-2000)));
  const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>((done, fail) => {
    child.once('error', fail);
    child.once('close', (code, signal) => done({ code, signal }));
  });
  if (code === 0) return JSON.parse(await readFile(result, 'utf8')) as Cost;
  // The system ends a process that asks for too much; LibTorch says so itself where the system lets it.
  if (signal === 'SIGKILL' || /OUT_OF_MEMORY|not enough memory|alloc/i.test(errors)) return null;
  return raise(
    'ERR_TORCH',
    `experiment ${NAME}: a measuring process ended with ${signal ?? String(code)}: ${errors.trim()}`,
  );
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)] as number;
const stepsPerSecond = ({ secondsPerStep }: Cost): number => 1 / median(secondsPerStep);
const addedMb = ({ peakMb, baseMb }: Cost): number => peakMb - baseMb;

const HEADER = ['batch', ...VARIANTS.map(({ name }) => name)];

function lines({ cells, settings }: CostResults, value: (cost: Cost) => string): string[][] {
  return settings.batches.map((batch) => [
    String(batch),
    ...VARIANTS.map(({ id }) => {
      const cell = cells.find((one) => one.variant === id && one.batch === batch);
      return cell === undefined ? '' : cell.cost === null ? 'out of memory' : value(cell.cost);
    }),
  ]);
}

const memory = (cost: Cost): string => addedMb(cost).toFixed(0);
const speed = (cost: Cost): string => stepsPerSecond(cost).toPrecision(3);
const MEMORY = 'Peak memory that the steps add, MiB';
const SPEED = 'Steps a second, median';

function remarks({ data, settings, quick }: CostResults): string[] {
  const { dim, maxLength, steps } = settings;
  return [
    `${data.name}: ${data.items} items, at most ${maxLength} items each; two blocks of width ${dim}; steps on the CPU (${steps} timed), each size in a ` +
      'process of its own. All of a batch at once, except «in pieces», which is what the library does by default.',
    'No sharing: input and output tables apart, half the width, as the baseline of the paper. Its norms are those of an ordinary linear head; ' +
      'the paper compares with ghost clipping that treats the head as a lookup of all items, which takes far more. Memory before the first step is left out.',
    ...(quick ? ['A quick run: it shows that everything works, not what anything costs.'] : []),
  ];
}

function text(results: CostResults): string {
  return [
    TITLE,
    '',
    `${MEMORY}:`,
    textTable(HEADER, lines(results, memory)),
    '',
    `${SPEED}:`,
    textTable(HEADER, lines(results, speed)),
    '',
    ...remarks(results),
  ].join('\n');
}

function report(results: CostResults): string {
  const series = (value: (cost: Cost) => number) =>
    VARIANTS.map(({ id, name }) => ({
      name,
      points: results.cells.flatMap(({ variant, batch, cost }) =>
        variant === id && cost !== null ? [[Math.log2(batch), Math.log10(Math.max(1e-3, value(cost)))] as const] : [],
      ),
    }));
  return page(`phantomgrad: ${TITLE}`, [
    ...remarks(results).map(paragraph),
    heading(2, MEMORY),
    table(HEADER, lines(results, memory)),
    figure(lineChart(series(addedMb), { x: 'log2 of the batch size', y: 'log10 MiB' }), 'memory'),
    heading(2, SPEED),
    table(HEADER, lines(results, speed)),
    figure(lineChart(series(stepsPerSecond), { x: 'log2 of the batch size', y: 'log10 steps/s' }), 'speed'),
  ]);
}
