// `phantomgrad report DIR`: report.html of a run, made again of what lies in its folder.

import { basename, resolve } from 'node:path';

import { Command } from 'commander';

import { writeReport } from '../tasks';

export function reportCommand(): Command {
  return new Command('report')
    .description('write report.html of a run: what was measured, how it learned, the privacy statement')
    .argument('<dir>', 'run folder')
    .option('--json', 'last line on standard output: one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad report model
  $ phantomgrad report runs/recommender-20260131-235959 --json

Training writes it at its end; this does for a run that was interrupted, and for one of an older version. It shows numbers that no epsilon
covers.
`,
    )
    .action(async (folder: string, { json = false }: { readonly json?: boolean }) => {
      const path = await writeReport(folder, `phantomgrad: ${basename(resolve(folder))}`);
      console.log(json ? JSON.stringify({ report: path }) : `Saved: ${path}`);
    });
}
