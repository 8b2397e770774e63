#!/usr/bin/env node
// The command `phantomgrad`: its table of contents, and what its exit code means.

import { Command } from 'commander';

import { VERSION } from '../version';
import { auditCommand } from './audit';
import { doctorCommand } from './doctor';
import { evaluateCommand } from './evaluate';
import { experimentCommand } from './experiment';
import { explain, parserLine } from './failure';
import { generateCommand } from './generate';
import { planCommand } from './plan';
import { privacyCommand } from './privacy';
import { recommendCommand } from './recommend';
import { reportCommand } from './report';
import { setupCommand } from './setup';
import { trainClassifierCommand } from './train-classifier';
import { trainImagesCommand } from './train-images';
import { trainLmCommand } from './train-lm';
import { trainRecommenderCommand } from './train-recommender';
import { trainTable2textCommand } from './train-table2text';

export function program(): Command {
  const root = new Command('phantomgrad')
    .description('train Transformers with differential privacy, and account for it')
    .version(VERSION)
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({ outputError: (text, write) => write(parserLine(text)) })
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad train recommender --data ratings.dat --epsilon 8 --out model
  $ phantomgrad recommend model --history 1193,661,914 --top 10
  $ phantomgrad privacy epsilon --sampling-rate 0.01 --noise-multiplier 1 --steps 1000 --delta 1e-6

Exit codes: 0 done, 1 failure, 2 bad input, 130 interrupted. Errors: «phantomgrad: [ERR_CODE] what, where, what to do».
`,
    );
  const train = new Command('train')
    .description('train a model with differential privacy')
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad train recommender --data ratings.dat --epsilon 8 --out model
  $ phantomgrad train classifier --model roberta-base --data glue/SST-2 --out private-roberta
  $ phantomgrad train lm --help
`,
    )
    .addCommand(trainRecommenderCommand())
    .addCommand(trainLmCommand())
    .addCommand(trainClassifierCommand())
    .addCommand(trainTable2textCommand())
    .addCommand(trainImagesCommand());
  const commands = [
    train,
    evaluateCommand(),
    recommendCommand(),
    generateCommand(),
    reportCommand(),
    planCommand(),
    experimentCommand(),
    auditCommand(),
    privacyCommand(),
    setupCommand(),
    doctorCommand(),
  ];
  for (const command of commands) {
    root.addCommand(command);
  }
  inherit(root);
  return root;
}

// Commander hands settings down to commands that it makes itself, not to those that are added.
function inherit(parent: Command): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent);
    inherit(command);
  }
}

async function main(): Promise<void> {
  // A reader that has seen enough («| head») is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  try {
    await program().parseAsync();
  } catch (error) {
    const { line, exitCode } = explain(error);
    if (line !== null) console.error(line);
    process.exitCode = exitCode;
  }
}

if (require.main === module) void main();
