// `phantomgrad experiment NAME`: the paper's tables and figures, ours beside theirs.

import { join } from 'node:path';

import { Command } from 'commander';

import { raise } from '../errors';
import { EXPERIMENT_NAMES, type ExperimentControl, IDEA_ROWS, runExperiment, TABLE_ROWS } from '../tasks/experiments';
import type { RunEvent } from '../tasks/recommender';
import { interruptible } from './interrupt';
import { ProgressPrinter } from './progress';
import { timestamp } from './timestamp';
import { list, number, numbers } from './values';

interface Flags {
  readonly quick?: boolean;
  readonly small?: boolean;
  readonly data?: string;
  readonly out?: string;
  readonly seeds?: number;
  readonly rows?: readonly string[];
  readonly epsilons?: readonly number[];
  readonly validation?: boolean;
  readonly jobs?: number;
  readonly device?: string;
  readonly resume?: boolean;
  readonly json?: boolean;
}

const ROW_IDS = [...new Set([...TABLE_ROWS, ...IDEA_ROWS].map(({ id }) => id))];

export function experimentCommand(): Command {
  return new Command('experiment')
    .description('run an experiment: a table or figure of the paper, its language model, or what our ideas add')
    .argument('<name>', EXPERIMENT_NAMES.join(', '))
    .option('--quick', 'tiny runs on made-up data: does everything work?')
    .option('--small', 'tinyshakespeare, ideas: a variant for CPUs')
    .option('--data <file>', 'MovieLens-1M or Amazon Games for tables and figures, a text for tinyshakespeare')
    .option('--out <dir>', 'folder for results.json and report.html (default: runs/<name>-<time>)')
    .option('--seeds <n>', 'runs of every cell (default: 5 for tables, 3 for ideas, else 1; quick: 1)', number)
    .option('--rows <ids>', `tables and ideas: only these, by comma: ${ROW_IDS.join(', ')}`, list)
    .option('--epsilons <list>', 'tables: only these budgets, by comma', numbers)
    .option(
      '--validation',
      "measure on the item before everybody's last one, to choose settings without looking at that",
    )
    .option('--jobs <n>', 'cells that run side by side, each with its share of the cores (default: 1)', number)
    .option('--device <name>', 'where models are trained: cpu, cuda or cuda:N (default: cpu)')
    .option('--resume', 'go on in --out: with the interrupted cell, then with those that are missing')
    .option('--json', 'last line on standard output: one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad experiment paper-table-1
  $ phantomgrad experiment paper-table-2 --quick
  $ phantomgrad experiment paper-table-2 --data ratings.dat --out table-2
  $ phantomgrad experiment paper-table-2 --data ratings.dat --out table-2 --resume
  $ phantomgrad experiment paper-table-2 --data ratings.dat --rows vanilla,reAttention --epsilons 8 --seeds 3
  $ phantomgrad experiment ideas --small --data ratings.dat --jobs 2
  $ phantomgrad experiment paper-fig-8 --data ratings.dat
  $ phantomgrad experiment tinyshakespeare --small --data input.txt

A cell is one run; its result is on disk when it ends. Ctrl-C ends after the step at hand and exits 130; --resume goes on there.
Exit codes: 0 done, 1 failure, 2 bad input (nothing was trained), 130 interrupted.
`,
    )
    .action((name: string, flags: Flags) => run(name, flags));
}

async function run(name: string, { json = false, out: folder, ...options }: Flags): Promise<void> {
  if (options.resume === true && folder === undefined) {
    raise('ERR_INVALID_ARGUMENT', 'experiment: --resume goes on with a folder; name it with --out.');
  }
  const out = folder ?? join('runs', `${name}-${timestamp(new Date())}`);
  const progress = new ProgressPrinter();
  const { result, exitCode } = await interruptible(
    (signal, begun) => {
      begun(); // cells that are done are on disk
      return runExperiment(name, { ...options, ...showing(progress), out, signal });
    },
    () => progress.note('Interrupted: ending after this step. Again to leave at once.'),
  );
  progress.end();
  if (exitCode !== null) process.exitCode = exitCode;
  const { text, rows, cells, planned, interrupted, notCovered } = result;
  const trained = [
    ...(planned === 0 ? [] : [`Cells: ${cells} of ${planned}.`]),
    ...(notCovered.length === 0 ? [] : [epsilonLeavesOut(notCovered)]),
  ];
  const goOn = interrupted ? [`Interrupted. Go on with --resume --out ${out}`] : [];
  const all = [text, ...trained, ...goOn, `Saved: ${out}`].join('\n');
  if (!json) {
    console.log(all);
    return;
  }
  progress.note(all);
  console.log(
    JSON.stringify({ experiment: name, quick: options.quick ?? false, cells, planned, interrupted, rows, out }),
  );
}

function epsilonLeavesOut(notCovered: readonly string[]): string {
  return ['Epsilon does not cover:', ...notCovered.map((what) => `- ${what}`)].join('\n');
}

// Every cell has the same data and warnings: said once.
function showing(progress: ProgressPrinter): Pick<ExperimentControl, 'onEvent' | 'onCell'> {
  const said = new Set<string>();
  const onEvent = (event: RunEvent, cell?: string): void => {
    if (event.kind === 'data' || event.kind === 'warning') {
      const text = JSON.stringify(event);
      if (said.has(text)) return;
      said.add(text);
      progress.show(event);
    } else progress.show(event, cell);
  };
  return { onEvent, onCell: (text) => progress.note(text) };
}
