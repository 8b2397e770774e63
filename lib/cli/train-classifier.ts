// `phantomgrad train classifier`: texts into classes.

import { Command, Option } from 'commander';

import { GLUE } from '../data';
import { raise } from '../errors';
import type { ClassifierOptions } from '../tasks/fine-tune';
import { type RunFlags, runFineTune, withCommonOptions } from './fine-tune-options';
import { list, number } from './values';

interface Columns {
  readonly textColumns?: readonly string[];
  readonly labelColumn?: string;
  readonly labels?: readonly string[];
}

type Flags = RunFlags & Omit<ClassifierOptions, 'layout'> & Columns;

export function trainClassifierCommand(): Command {
  const command = new Command('classifier')
    .description('train a classifier of texts or pairs of texts privately')
    .option('--data <path>', 'folder with train.tsv and dev.tsv, or the file to train on; also .gz')
    .option('--test <file>', 'held-out examples (default: dev.tsv of the folder)')
    .addOption(new Option('--task <name>', 'layout of the files (default: sst2)').choices(Object.keys(GLUE)))
    .option('--text-columns <names>', 'of another layout: one or two columns, separated by a comma', list)
    .option('--label-column <name>', 'of another layout')
    .option('--labels <values>', 'of another layout: the values in the label column, in the order of the classes', list)
    .option('--infilling', 'read the class off the word that a masked language model puts into a template')
    .option('--template <text>', 'with --infilling: text with {mask}, {0} and {1} (default: that of the task)')
    .option('--words <words>', 'with --infilling: a word for every class (default: those of the task)', words)
    .option('--tokenizer <dir>', 'folder of a tokenizer (default: that of the model)')
    .option(
      '--max-length <n>',
      'tokens of an example, which is cut to them (default: 256, at most what the model reads)',
      number,
    );
  return withCommonOptions(command, 'classifier', 'examples')
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad train classifier --data glue/SST-2 --model roberta-base --out model
  $ phantomgrad train classifier --data glue/MNLI --task mnli --model roberta-base --infilling --epochs 18 --batch-size 6000
  $ phantomgrad train classifier --data reviews.tsv --test held.tsv --text-columns text --label-column stars --labels 1,2,3,4,5 --model bert-base-uncased
`,
    )
    .action((_flags: unknown, self: Command) => runFineTune<'classifier', Flags>('classifier', self, optionsOf));
}

// A space before a word belongs to it: tokenizers of the GPT-2 kind know words by it.
function words(text: string): string[] {
  return text.split(',');
}

function optionsOf({ textColumns, labelColumn, labels, ...rest }: Omit<Flags, keyof RunFlags>): ClassifierOptions {
  const named = [textColumns, labelColumn, labels].filter((part) => part !== undefined).length;
  if (named === 0) return rest;
  if (textColumns === undefined || labelColumn === undefined || labels === undefined)
    return raise(
      'ERR_INVALID_ARGUMENT',
      'train classifier: another layout takes --text-columns, --label-column and --labels together.',
    );
  return { ...rest, layout: { texts: textColumns, label: labelColumn, labels } };
}
