// `phantomgrad generate DIR --prompt TEXT`: what a trained model writes.

import { Command } from 'commander';

import { raise } from '../errors';
import { write } from '../tasks';
import { number } from './values';

interface Flags {
  readonly prompt: readonly string[];
  readonly tokenizer?: string;
  readonly maxNewTokens?: number;
  readonly sample?: boolean;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly beams?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
  readonly device?: string;
  readonly json?: boolean;
}

export function generateCommand(): Command {
  return new Command('generate')
    .description('continue prompts with a trained language model, or write what tables say')
    .argument('<dir>', 'run folder, or any folder of a causal language model')
    .requiredOption('--prompt <text>', 'may be given several times; a table for a model of table2text', collect)
    .option('--tokenizer <dir>', 'folder of the tokenizer (default: that of the model)')
    .option('--max-new-tokens <n>', 'tokens after a prompt, at most (default: 40)', number)
    .option('--sample', 'draw tokens instead of taking the likeliest')
    .option('--temperature <t>', 'with --sample: logits are divided by it (default: 1)', number)
    .option('--top-k <k>', 'with --sample: draw from the k likeliest; 0: from all (default: 50)', number)
    .option('--top-p <p>', 'with --sample: draw from the fewest that have this probability together', number)
    .option('--beams <n>', 'beam search', number)
    .option('--repetition-penalty <r>', 'above 1: tokens of the text so far become less likely', number)
    .option('--seed <n>', 'of what is drawn (default: 0)', number)
    .option('--device <name>', 'where the model runs: cpu, cuda or cuda:N (default: cpu)')
    .option('--json', 'last line on standard output: one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad generate model --prompt "Once upon a time" --max-new-tokens 60
  $ phantomgrad generate model --prompt "Once" --prompt "A dog" --sample --top-p 0.9 --seed 7 --json
  $ phantomgrad generate model --prompt "name[The Eagle], eatType[pub]" --beams 4

Prompts of different lengths run side by side; none changes what another one is answered.
`,
    )
    .action(
      async (folder: string, { prompt, json = false, sample = false, beams, maxNewTokens = 40, ...rest }: Flags) => {
        const drawn = (['temperature', 'topK', 'topP', 'seed'] as const).find((key) => rest[key] !== undefined);
        if (!sample && drawn !== undefined)
          raise('ERR_INVALID_ARGUMENT', `generate: ${drawn} is for --sample; without it nothing is drawn.`);
        const options = {
          ...rest,
          maxNewTokens,
          doSample: sample,
          ...(beams === undefined ? {} : { numBeams: beams }),
        };
        const texts = await write(folder, prompt, options);
        if (json) return console.log(JSON.stringify({ texts }));
        for (const { prompt: begun, text } of texts) console.log(`${begun}${text}`);
      },
    );
}

function collect(text: string, earlier: readonly string[] = []): string[] {
  return [...earlier, text];
}
