// `phantomgrad train lm`: a causal language model on a text.

import { Command } from 'commander';

import type { LanguageModelOptions } from '../tasks/fine-tune';
import { type RunFlags, runFineTune, withCommonOptions, withPrefixOptions } from './fine-tune-options';
import { number } from './values';

export function trainLmCommand(): Command {
  const command = new Command('lm')
    .description('train a language model privately on a text')
    .option('--data <file>', 'text to train on, UTF-8, also .gz')
    .option('--test <file>', 'held-out text (default: the end of the data)')
    .option('--held-out <share>', 'share of the data at its end that is held out (default: 0.1)', number)
    .option('--tokenizer <dir>', 'folder of a tokenizer, or bytes (default: that of the model; from scratch: bytes)')
    .option('--block <n>', 'tokens of a record (default: 128, at most what the model reads)', number);
  return withPrefixOptions(withCommonOptions(command, 'lm', 'blocks'))
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad train lm --data input.txt --block 64 --out model
  $ phantomgrad train lm --data letters.txt --model gpt2 --lora 8 --epsilon 3 --out model
  $ phantomgrad generate model --prompt "Once upon a time"
`,
    )
    .action((_flags: unknown, self: Command) =>
      runFineTune<'lm', RunFlags & LanguageModelOptions>('lm', self, (own) => own),
    );
}
