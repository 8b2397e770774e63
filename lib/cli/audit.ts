// `phantomgrad audit`: does the engine do what the privacy statement says? A report, and an exit code.

import { Command } from 'commander';

import { raise } from '../errors';
import { auditText } from '../privacy';
import { auditRecommender } from '../tasks';
import { ProgressPrinter } from './progress';
import { number } from './values';

interface Flags {
  readonly data?: string;
  readonly canaries?: number;
  readonly steps?: number;
  readonly confidence?: number;
  readonly device?: string;
  readonly json?: boolean;
}

export function auditCommand(): Command {
  return new Command('audit')
    .description('train a copy and check that the engine does what its privacy statement says')
    .argument('[dir]', 'run folder whose model and mechanism are audited (default: a small model on made-up histories)')
    .option('--data <file>', 'the file that the run was trained on; not for runs on made-up histories')
    .option('--canaries <n>', 'records made for the audit, at least 1,000 (default: 1,000)', number)
    .option('--steps <n>', 'steps of the run with canaries (default: those of the run)', number)
    .option('--confidence <p>', 'of the lower bound (default: 0.95)', number)
    .option('--device <name>', 'where the copies are trained: cpu, cuda or cuda:N (default: cpu)')
    .option('--json', 'last line on standard output: one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad audit
  $ phantomgrad audit model --data ratings.dat --steps 200
  $ phantomgrad audit runs/recommender-20260131-235959 --json

It compares what single records add to the sum with their gradients, measures the noise of every parameter, checks sampling against
Poisson's law, and guesses which of the canaries were trained in: that gives a lower bound on epsilon. It finds mistakes; it proves no
guarantee. Exit codes: 0 all claims hold, 1 a claim fails (the report names it), 2 bad input.
`,
    )
    .action(async (folder: string | undefined, { json = false, ...given }: Flags) => {
      const progress = new ProgressPrinter();
      const report = await auditRecommender({
        ...given,
        ...(folder === undefined ? {} : { folder }),
        onProgress: (what) => progress.note(what),
      });
      if (json) {
        progress.note(`\n${auditText(report)}`);
        console.log(JSON.stringify(report));
      } else console.log(auditText(report));
      if (report.passed) return;
      const failed = report.findings.filter(({ holds }) => !holds);
      raise('ERR_AUDIT', `audit: ${failed.map(({ claim, detail }) => `${claim}: ${detail}`).join('; ')}.`);
    });
}
