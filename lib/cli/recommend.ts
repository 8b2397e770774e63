// `phantomgrad recommend DIR --history 1,5,9`: what a trained model expects next.

import { Command } from 'commander';

import { textTable } from '../report/table';
import { Recommender } from '../tasks';
import { list, number } from './values';

interface Flags {
  readonly history: string[];
  readonly top?: number;
  readonly json?: boolean;
}

export function recommendCommand(): Command {
  return new Command('recommend')
    .description('list the items most likely to come next after a history')
    .argument('<dir>', 'run folder')
    .requiredOption('--history <ids>', 'item ids as in the data, oldest first, separated by commas', list)
    .option('--top <n>', 'how many items (default: 10)', number)
    .option('--json', 'last line on standard output: one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad recommend model --history 1193,661,914
  $ phantomgrad recommend model --history 1193,661,914 --top 3 --json
`,
    )
    .action(async (folder: string, { history, top = 10, json = false }: Flags) => {
      const recommender = await Recommender.load(folder);
      try {
        const recommendations = recommender.recommend(history, { top });
        if (json) return console.log(JSON.stringify({ recommendations }));
        const rows = recommendations.map(({ item, score }, k) => [`${k + 1}.`, item, score.toFixed(3)]);
        console.log(textTable(['', 'item', 'score'], rows));
      } finally {
        recommender.dispose();
      }
    });
}
