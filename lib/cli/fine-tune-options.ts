// The options that all `phantomgrad train` commands for Hugging Face models share, and how a run of one goes.

import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { type Command, Option } from 'commander';

import { raise } from '../errors';
import { fineTune, type FineTuneControl, type FineTuneOptions } from '../tasks';
import { canResume, CLIPS, type CommonOptions, DEFAULTS, type FineTuneTask, PRESETS, TASKS } from '../tasks/fine-tune';
import { applyConfigFile } from './config-file';
import { fineTuneJson, fineTuneSummary, fineTuneTable } from './fine-tune-report';
import { interruptible, onPlan } from './interrupt';
import { ProgressPrinter } from './progress';
import { timestamp } from './timestamp';
import { number } from './values';

/** Flags that are not options of the task. */
export interface RunFlags {
  readonly lr?: number;
  readonly out?: string;
  readonly resume?: string;
  readonly checkpointEvery?: number;
  readonly json?: boolean;
  readonly configFile?: string;
}

const count = (value: number): string => value.toLocaleString('en-US');

/** @param many  What the records of the task are called. */
export function withCommonOptions(command: Command, task: FineTuneTask, many: string): Command {
  const { epochs, learningRate, groupScale, average, preset } = TASKS[task].defaults;
  const either = ({ pretrained, scratch }: typeof epochs): string =>
    pretrained === scratch ? `default: ${scratch}` : `default: ${pretrained}; from scratch: ${scratch}`;
  return command
    .option('--model <dir>', 'pretrained model: a folder of Hugging Face files, or a name in the local hub cache')
    .option(
      '--config <file>',
      `train from scratch: a config.json, or ${Object.keys(PRESETS).join(', ')} (default without --model: ${preset})`,
    )
    .option('--epsilon <e>', `privacy budget, for adding or removing one record (default: ${DEFAULTS.epsilon})`, number)
    .option('--delta <d>', `its delta (default: min(1e-6, N^-1.1) for N ${many})`, number)
    .option('--epochs <n>', `passes over the data (${either(epochs)})`, number)
    .option(
      '--batch-size <n>',
      `expected ${many} a step (default: ${count(DEFAULTS.batchSize)}; at most a quarter of all)`,
      number,
    )
    .option('--lr <rate>', `highest learning rate (${either(learningRate)})`, number)
    .option('--warmup <share>', `share of the steps in which the rate rises (default: ${DEFAULTS.warmup})`, number)
    .option('--weight-decay <w>', `L2 (default: ${DEFAULTS.weightDecay})`, number)
    .option('--max-grad-norm <c>', `bound on the gradient of a record (${either(DEFAULTS.maxGradNorm)})`, number)
    .addOption(
      new Option('--clip <rule>', `how gradients are bounded (default: ${DEFAULTS.clip})`).choices(Object.keys(CLIPS)),
    )
    .addOption(
      new Option(
        '--group-scale <s>',
        `gradients of all weights but the word table times s, before clipping (${either(groupScale)})`,
      )
        .argParser(number)
        .hideHelp(task === 'images'), // there are no words: what is given is refused by name
    )
    .option(
      '--average <share>',
      `end with an average of the weights over about this share of the steps (${either(average)})`,
      number,
    )
    .option('--lora <rank>', 'train low-rank additions to the attention layers alone', number)
    .option('--biases-only', 'train biases alone')
    .option('--head-only', 'train the head alone')
    .option('--plain', 'also train without privacy, for comparison')
    .option(
      '--seed <n>',
      `new weights and dropout; noise and sampling never repeat (default: ${DEFAULTS.seed})`,
      number,
    )
    .option('--quick', `the first ${count(DEFAULTS.quick.records)} ${many}, one epoch: does everything work?`)
    .option(
      '--memory <mib>',
      `for the rows of a physical batch; changes speed only (default: ${DEFAULTS.memory})`,
      number,
    )
    .option('--device <name>', `cpu, cuda or cuda:N; a run may go on elsewhere (default: ${DEFAULTS.device})`)
    .option('--out <dir>', `folder for the model and all about it (default: runs/${task}-<time>)`)
    .option(
      '--resume <dir|auto>',
      'go on with the run in a folder, with its options; auto: the one in --out, or else the newest that waits in runs, or else begin',
    )
    .option('--checkpoint-every <n>', 'steps between two saved states (default: a twentieth of all)', number)
    .option('--recovery-steps <n>', 'steps that the noise pays for, should a crash lose some (default: 0)', number)
    .option('--json', 'last line on standard output: one JSON object')
    .option('--config-file <file>', 'options from a JSON file, names in camelCase; the command line wins')
    .addHelpText(
      'after',
      `
Ctrl-C ends after the step at hand, saves what was trained with what it cost, and exits 130; --resume goes on from there.
The folder holds what Python's transformers loads, and privacy.json, training.json, metrics.jsonl, report.html.
Exit codes: 0 done, 1 failure, 2 bad input (nothing was written), 130 interrupted.
`,
    );
}

/** Options of tasks whose models write text. */
export function withPrefixOptions(command: Command): Command {
  return command
    .option('--prefix <n>', 'train n keys and values before every text in each layer alone', number)
    .option('--prefix-projection <width>', 'with --prefix: make them by a network of this width in training', number);
}

/** Runs a task with the flags of its command, those of a file filled in; `optionsOf` turns the task's own into options. */
export async function runFineTune<T extends FineTuneTask, F extends RunFlags>(
  task: T,
  command: Command,
  optionsOf: (flags: Omit<F, keyof RunFlags>) => Partial<FineTuneOptions[T]>,
): Promise<void> {
  const { configFile } = command.opts<F>();
  if (configFile !== undefined) applyConfigFile(command, configFile, 'configFile');
  const { lr, out, resume: going, checkpointEvery, json = false, configFile: _file, ...own } = command.opts<F>();
  const common: Partial<CommonOptions> = lr === undefined ? {} : { learningRate: lr };
  const options = { ...optionsOf(own), ...common } as FineTuneOptions[T];
  const progress = new ProgressPrinter();
  const control: FineTuneControl = {
    ...placeOf(task, out, going),
    ...(checkpointEvery === undefined ? {} : { checkpointEvery }),
  };
  const { result, exitCode } = await interruptible(
    (signal, begun) => fineTune(task, options, { ...control, onEvent: onPlan(begun, progress.show), signal }),
    () => progress.note('Interrupted: ending after this step. Again to leave at once.'),
  );
  progress.end();
  if (exitCode !== null) process.exitCode = exitCode;
  const text = `${result.interrupted ? '' : `\n${fineTuneTable(result.rows)}\n`}\n${fineTuneSummary(result)}`;
  if (json) {
    progress.note(text);
    console.log(JSON.stringify(fineTuneJson(result)));
  } else console.log(text);
}

/** Where the run is, and whether it may be there already. */
function placeOf(task: string, out?: string, resume?: string): Pick<FineTuneControl, 'out' | 'resume'> {
  const begin = join('runs', `${task}-${timestamp(new Date())}`);
  if (resume === undefined) return { out: out ?? begin, resume: false };
  if (resume === 'auto') return { out: out ?? newestWaiting(task) ?? begin, resume: 'auto' };
  if (out !== undefined && resolve(out) !== resolve(resume))
    raise(
      'ERR_INVALID_ARGUMENT',
      `train ${task}: a run goes on in its own folder. Leave --out away with --resume DIR.`,
    );
  return { out: resume, resume: true };
}

/** Names of runs begin with their time: the last one is the newest. */
function newestWaiting(task: string): string | null {
  if (!existsSync('runs')) return null;
  const names = readdirSync('runs').filter((name) => name.startsWith(`${task}-`));
  const waiting = names.sort().filter((name) => canResume(join('runs', name)));
  return waiting.length === 0 ? null : join('runs', waiting.at(-1) as string);
}
