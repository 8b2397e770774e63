// `phantomgrad train table2text`: a language model that says what a table says.

import { Command, Option } from 'commander';

import type { TableToTextOptions } from '../tasks/fine-tune';
import { type RunFlags, runFineTune, withCommonOptions, withPrefixOptions } from './fine-tune-options';
import { list, number } from './values';

export function trainTable2textCommand(): Command {
  const command = new Command('table2text')
    .description('train a language model privately to write what a table says: E2E, DART')
    .option('--data <path>', 'E2E (CSV) or DART (JSON) to train on, or a folder with the official names; also .gz')
    .option('--test <file>', 'held-out tables (default: those of the folder)')
    .addOption(
      new Option('--unit <what>', 'what epsilon hides: a table with one text, or with all (default: pair)').choices([
        'pair',
        'mr',
      ]),
    )
    .option('--tokenizer <dir>', 'folder of a tokenizer (default: that of the model)')
    .option('--max-source <n>', 'tokens kept of a table (default: 100)', number)
    .option('--max-target <n>', 'tokens kept of a text (default: 100)', number)
    .option('--delexicalise <fields>', 'of E2E: placeholders for the values of fields, by comma: name,near', list)
    .option('--tables <n>', 'held-out tables that are written about (default: all)', number)
    .option('--beams <n>', 'beams of those texts (default: 1)', number);
  return withPrefixOptions(withCommonOptions(command, 'table2text', 'pairs'))
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad train table2text --data e2e --model gpt2 --out model
  $ phantomgrad train table2text --data e2e --model gpt2 --lora 4 --epsilon 3 --json
  $ phantomgrad generate model --prompt "name[The Eagle], eatType[pub], near[The Mill]"
`,
    )
    .action((_flags: unknown, self: Command) =>
      runFineTune<'table2text', RunFlags & TableToTextOptions>('table2text', self, (own) => own),
    );
}
