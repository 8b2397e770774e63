// `phantomgrad plan`: how much memory private training of a model takes, and what would take less.

import { Command, Option } from 'commander';

import { textTable } from '../report/table';
import { type MemoryPlan, type MemoryPlanOptions, planMemory } from '../tasks';
import { DEFAULTS, TASKS } from '../tasks/fine-tune';
import { number } from './values';

type Flags = MemoryPlanOptions & { readonly json?: boolean };

export function planCommand(): Command {
  return new Command('plan')
    .description('say how much memory private training of a model takes; no weights are read')
    .option('--model <dir>', 'folder of a model, or a name in the local hub cache')
    .option('--config <file>', 'a config.json, or the name of a preset')
    .addOption(new Option('--task <name>', 'what it is trained for').choices(Object.keys(TASKS)))
    .option('--batch-size <n>', `expected records a step (default: ${DEFAULTS.batchSize})`, number)
    .option('--length <n>', 'tokens of a record (default: 128, at most what the model reads)', number)
    .option('--lora <rank>', 'of the low-rank additions that are compared (default: 8)', number)
    .option('--memory <mib>', `for the rows of a physical batch (default: ${DEFAULTS.memory})`, number)
    .option('--json', 'last line on standard output: one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad plan --model gpt2 --batch-size 1024 --length 100
  $ phantomgrad plan --config tiny-vit --json

Parameters, gradients and moments are exact; activations are estimated from above. LibTorch itself takes some 200 MB more.
`,
    )
    .action(async ({ json = false, ...options }: Flags) => {
      const plan = await planMemory(options);
      if (json) console.log(JSON.stringify(plan));
      else console.log(planText(plan));
    });
}

function planText({ modelType, task, full, lora, ...plan }: MemoryPlan): string {
  const row = (name: string, key: keyof typeof full): string[] => [name, mib(full[key]), mib(lora[key])];
  const count = (value: number): string => value.toLocaleString('en-US');
  const table = textTable(
    ['MiB', 'all parameters', `LoRA, rank ${lora.rank}`],
    [
      row('weights', 'weights'),
      row('sum of clipped gradients', 'gradients'),
      row("Adam's moments", 'optimizer'),
      row('activations of a physical batch', 'activations'),
      row('together', 'total'),
    ],
  );
  return [
    `${modelType} for ${task}: ${count(full.trained)} parameters, of which LoRA trains ${count(lora.trained)}`,
    '',
    table,
    '',
    `A record of ${plan.rowsPerRecord} rows keeps ${mib(plan.bytesPerRecord)} MiB: physical batches of ${count(plan.physicalBatch)}, ` +
      `${count(plan.physicalBatches)} a step. More --memory makes them larger; results do not change.`,
    `One gradient a record, which other libraries store, would add ${mib(plan.perSampleGradients)} MiB; it is not formed here.`,
  ].join('\n');
}

function mib(bytes: number): string {
  const value = bytes / 2 ** 20;
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 2 : 0 });
}
