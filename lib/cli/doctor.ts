// `phantomgrad doctor`: a table of everything that native calls depend on. Exit code 1 when something is missing.

import { Command } from 'commander';

import { diagnose } from '../native/doctor';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('show what was found on this machine: native files, LibTorch, processor')
    .option('--json', 'print one line of JSON, with every place of the LibTorch search')
    .addHelpText('after', '\nExamples:\n  $ phantomgrad doctor\n  $ phantomgrad doctor --json\n')
    .action((flags: { json?: boolean }) => {
      const diagnosis = diagnose();
      if (flags.json === true) console.log(JSON.stringify(diagnosis));
      else {
        for (const { name, ok, text } of diagnosis.findings) {
          console.log(`${ok ? 'ok     ' : 'MISSING'}  ${name.padEnd(13)} ${text}`);
        }
      }
      if (!diagnosis.ok) process.exitCode = 1;
    });
}
