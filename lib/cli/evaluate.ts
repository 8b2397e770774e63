// `phantomgrad evaluate DIR`: accuracy of a trained model on held-out items, beside the baselines.

import { Command } from 'commander';

import { raise } from '../errors';
import { evaluateFineTuned, Recommender } from '../tasks';
import { isFineTuned } from '../tasks/fine-tune';
import { checkDevice } from '../tensor';
import * as fineTuned from './fine-tune-report';
import { ProgressPrinter } from './progress';
import { rowsJson, rowTable } from './recommender-report';
import { number } from './values';

interface Flags {
  readonly data?: string;
  readonly includeSeen?: boolean;
  readonly beams?: number;
  readonly device?: string;
  readonly json?: boolean;
}

export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description('measure a trained model on held-out data')
    .argument('<dir>', 'run folder')
    .option(
      '--data <file>',
      'held-out data as in training; of a recommender, interactions (default: the made-up histories, for a run on them)',
    )
    .option('--include-seen', 'of a recommender: also show the ranking that does not leave out items of the history')
    .option(
      '--beams <n>',
      'of a model of train table2text: beams of the texts that are compared (default: those of its training)',
      number,
    )
    .option('--device <name>', 'where the model runs: cpu, cuda or cuda:N (default: cpu)')
    .option('--json', 'last line on standard output: one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad evaluate model --data ratings.dat
  $ phantomgrad evaluate runs/recommender-20260131-235959 --json
  $ phantomgrad evaluate private-roberta --data glue/SST-2
  $ phantomgrad evaluate private-e2e --data e2e --beams 5

A recommender ranks the last item of every history. What is measured is computed from data without noise: no epsilon covers it.
`,
    )
    .action(async (folder: string, flags: Flags) => {
      if (isFineTuned(folder)) return evaluateModel(folder, flags);
      if (flags.beams !== undefined)
        raise(
          'ERR_INVALID_ARGUMENT',
          'evaluate: --beams is for models of train table2text; a recommender writes no texts.',
        );
      const { data, includeSeen = false, device = 'cpu', json = false } = flags;
      checkDevice('evaluate', device);
      const progress = new ProgressPrinter();
      const recommender = await Recommender.load(folder);
      try {
        recommender.model.to(device);
        const rows = await recommender.evaluate(data, progress.show);
        progress.end();
        const { config } = recommender;
        const kind = config.model_type === 'sequential-recurrent' ? config.model.cell : 'transformer';
        const table = rowTable(rows, includeSeen, kind);
        if (!json) return console.log(table);
        progress.note(table);
        console.log(JSON.stringify(rowsJson(rows, includeSeen)));
      } finally {
        recommender.dispose();
      }
    });
}

async function evaluateModel(
  folder: string,
  { data, includeSeen, beams, device = 'cpu', json = false }: Flags,
): Promise<void> {
  if (includeSeen === true)
    raise('ERR_INVALID_ARGUMENT', 'evaluate: --include-seen is for recommenders; this model ranks no items.');
  if (data === undefined)
    return raise(
      'ERR_INVALID_ARGUMENT',
      'evaluate: name held-out data with --data; the run folder does not keep them.',
    );
  const progress = new ProgressPrinter();
  const { task, rows } = await evaluateFineTuned(folder, data, progress.show, {
    device,
    ...(beams === undefined ? {} : { beams }),
  });
  progress.end();
  const table = fineTuned.fineTuneTable(rows);
  if (!json) {
    console.log(table);
    return;
  }
  progress.note(table);
  console.log(JSON.stringify({ task, ...fineTuned.rowsJson(rows) }));
}
