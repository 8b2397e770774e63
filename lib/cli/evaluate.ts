// `phantomgrad evaluate DIR`: accuracy of a trained model on held-out items, beside the baselines.

import { Command } from 'commander';

import { Recommender } from '../tasks';
import { ProgressPrinter } from './progress';
import { rowsJson, rowTable } from './recommender-report';

interface Flags {
  readonly data?: string;
  readonly includeSeen?: boolean;
  readonly json?: boolean;
}

export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description('rank the last item of every history with a trained model')
    .argument('<dir>', 'run folder')
    .option(
      '--data <file>',
      'interactions as in training; default: the made-up histories, for a run that was trained on them',
    )
    .option('--include-seen', 'also show the ranking that does not leave out items of the history')
    .option('--json', 'last line on standard output: one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad evaluate model --data ratings.dat
  $ phantomgrad evaluate runs/recommender-20260131-235959 --json

The accuracies are computed from private data without noise: no epsilon covers them.
`,
    )
    .action(async (folder: string, { data, includeSeen = false, json = false }: Flags) => {
      const progress = new ProgressPrinter();
      const recommender = await Recommender.load(folder);
      try {
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
