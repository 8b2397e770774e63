// `phantomgrad train recommender`: options in, a table or one line of JSON out.

import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { Command, Option } from 'commander';

import { raise } from '../errors';
import { type RecommenderOptions, type RunControl, trainRecommender } from '../tasks';
import { canResume, DEFAULTS } from '../tasks/recommender';
import { applyConfigFile } from './config-file';
import { interruptible, onPlan } from './interrupt';
import { ProgressPrinter } from './progress';
import { runJson, runSummary, rowTable } from './recommender-report';
import { timestamp } from './timestamp';
import { number } from './values';

interface Flags {
  readonly data?: string;
  readonly synthetic?: boolean;
  readonly catalogue?: string;
  readonly minActions?: number;
  readonly validation?: boolean;
  readonly minItemActions?: number;
  readonly epsilon?: number;
  readonly delta?: number;
  readonly epochs?: number;
  readonly batchSize?: number;
  readonly lr?: number;
  readonly weightDecay?: number;
  readonly model?: 'transformer' | 'gru' | 'lstm';
  readonly untied?: boolean;
  readonly dim?: number;
  readonly blocks?: number;
  readonly heads?: number;
  readonly maxLength?: number;
  readonly dropout?: number;
  readonly targets?: 'all' | 'last';
  readonly reAttention?: boolean;
  readonly outputBias?: boolean;
  readonly groupScale?: number;
  readonly rowStep?: boolean;
  readonly seed?: number;
  readonly plain?: boolean;
  readonly quick?: boolean;
  readonly out?: string;
  readonly resume?: string;
  readonly checkpointEvery?: number;
  readonly evaluateEvery?: number;
  readonly recoverySteps?: number;
  readonly noise?: 'default' | 'strict';
  readonly includeSeen?: boolean;
  readonly json?: boolean;
  readonly device?: string;
  readonly config?: string;
}

const { common, file, synthetic, quick, recurrent } = DEFAULTS;
const count = (value: number): string => value.toLocaleString('en-US');
const either = (name: 'epochs' | 'batchSize' | 'maxLength' | 'dropout'): string =>
  `default: ${file[name]}; synthetic: ${synthetic[name]}`;

export function trainRecommenderCommand(): Command {
  return new Command('recommender')
    .description('train a private sequential recommender and compare it with baselines')
    .option('--data <file>', 'interactions: ratings.dat, u.data, CSV, JSONL, Parquet, SASRec text, each also .gz')
    .option('--synthetic', `made-up long-tail histories of ${count(synthetic.users)} users (default without --data)`)
    .option(
      '--catalogue <file>',
      'public list of item ids, one a line; without it the list comes from the data, uncovered by epsilon',
    )
    .option('--min-actions <n>', `leave out users with fewer actions (default: ${common.minActions})`, number)
    .option(
      '--min-item-actions <n>',
      `leave out items with fewer actions, before users are counted (default: ${common.minItemActions})`,
      number,
    )
    .option('--epsilon <e>', `privacy budget, for adding or removing one user (default: ${common.epsilon})`, number)
    .option('--delta <d>', 'its delta (default: min(1e-6, N^-1.1) for N users)', number)
    .option('--epochs <n>', `passes over the data (${either('epochs')})`, number)
    .option(
      '--batch-size <n>',
      `expected users a step (${either('batchSize')}; at most a quarter of the users)`,
      number,
    )
    .option('--lr <rate>', 'highest learning rate (default: 0.17 / sqrt(steps))', number)
    .option('--weight-decay <w>', `L2 (default: ${common.weightDecay})`, number)
    .addOption(
      new Option('--model <kind>', `what is trained (default: ${common.model})`).choices([
        'transformer',
        'gru',
        'lstm',
      ]),
    )
    .option('--untied', 'a table of its own for the output (default: that of the input)')
    .option('--dim <d>', `width of the model (default: ${common.dim})`, number)
    .option(
      '--blocks <n>',
      `Transformer blocks (default: ${common.blocks}) or recurrent layers (default: ${recurrent.blocks})`,
      number,
    )
    .option('--heads <n>', `attention heads (default: ${common.heads})`, number)
    .option('--max-length <n>', `most recent items that the model reads (${either('maxLength')})`, number)
    .option('--dropout <p>', `share of activations dropped in training (${either('dropout')})`, number)
    .addOption(
      new Option('--targets <which>', `positions that predict (default: ${common.targets})`).choices(['all', 'last']),
    )
    .option('--no-re-attention', 'leave attention as it is, uncorrected for the noise in the item table')
    .option('--no-output-bias', 'start from equal items, not from their noisy frequencies')
    .option(
      '--group-scale <s>',
      `gradients of all weights but the item table times s, before clipping (default: ${common.groupScale}; 1: as they are)`,
      number,
    )
    .option('--no-row-step', "equal steps for all items' rows, not by the root of their noisy frequencies")
    .option(
      '--seed <n>',
      `initial weights and dropout; noise and sampling never repeat (default: ${common.seed})`,
      number,
    )
    .option(
      '--validation',
      "measure on the item before everybody's last one, to choose settings without looking at that",
    )
    .option('--plain', 'train the same model without privacy too (default where data are synthetic)')
    .option('--no-plain', 'do not')
    .option(
      '--quick',
      `${quick.epochs} epochs, of ${count(quick.users)} users where data are synthetic: does everything work?`,
    )
    .option(
      '--out <dir>',
      'folder for model, configuration, privacy statement, metrics (default: runs/recommender-<time>)',
    )
    .option(
      '--resume <dir|auto>',
      'go on with the run in a folder, with its options; auto: the one in --out, or else the newest that waits in runs, or else begin',
    )
    .option(
      '--evaluate-every <epochs>',
      'measure accuracy while training, too; into metrics.jsonl, not private',
      number,
    )
    .option('--checkpoint-every <n>', 'steps between two saved states (default: a twentieth of all)', number)
    .option(
      '--recovery-steps <n>',
      `steps that the noise pays for, should a crash lose some (default: ${common.recoverySteps})`,
      number,
    )
    .addOption(
      new Option(
        '--noise <level>',
        `strict: integers throughout, slow, without anything that needs frequencies (default: ${common.noise})`,
      ).choices(['default', 'strict']),
    )
    .option('--device <name>', `cpu, cuda or cuda:N; a run may go on elsewhere (default: ${common.device})`)
    .option('--include-seen', 'also show the ranking that does not leave out items of the history')
    .option('--json', 'last line on standard output: one JSON object')
    .option('--config <file>', 'options from a JSON file, names in camelCase; the command line wins')
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad train recommender
  $ phantomgrad train recommender --data ratings.dat --epochs 20 --epsilon 8 --out model
  $ phantomgrad train recommender --data log.csv --catalogue items.txt --json 2>progress.log
  $ phantomgrad train recommender --resume model
  $ phantomgrad train recommender --data log.csv --out model --resume auto

Ctrl-C ends after the step at hand, saves what was trained with what it cost, and exits 130; --resume goes on from there. Before there is
a plan it ends at once: nothing was written. After a
crash it goes on from the last saved state; the steps since then stay paid for, and the run ends that much earlier unless
--recovery-steps were planned.
Exit codes: 0 done, 1 failure, 2 bad input (nothing was written), 130 interrupted.
`,
    )
    .action(async (_flags: Flags, command: Command) => {
      const { config } = command.opts<Flags>();
      if (config !== undefined) applyConfigFile(command, config);
      await run(said(command));
    });
}

/** Options that were given: a default must not contradict what a resumed run remembers. */
function said(command: Command): Flags {
  const all = Object.entries(command.opts());
  return Object.fromEntries(all.filter(([name]) => command.getOptionValueSource(name) !== 'default'));
}

async function run(flags: Flags): Promise<void> {
  const progress = new ProgressPrinter();
  const { checkpointEvery, evaluateEvery } = flags;
  const control = {
    ...placeOf(flags),
    ...(checkpointEvery === undefined ? {} : { checkpointEvery }),
    ...(evaluateEvery === undefined ? {} : { evaluateEvery }),
  };
  const { result, exitCode } = await interruptible(
    (signal, begun) =>
      trainRecommender(optionsOf(flags), { ...control, onEvent: onPlan(begun, progress.show), signal }),
    () => progress.note('Interrupted: ending after this step. Again to leave at once.'),
  );
  progress.end();
  if (exitCode !== null) process.exitCode = exitCode;
  const { includeSeen = false } = flags;
  const table = result.interrupted ? '' : `\n${rowTable(result.rows, includeSeen, flags.model)}\n`;
  const text = `${table}\n${runSummary(result)}`;
  if (flags.json === true) {
    progress.note(text);
    console.log(JSON.stringify(runJson(result, includeSeen)));
  } else console.log(text);
}

function optionsOf({
  synthetic,
  lr,
  untied,
  out: _out,
  resume: _resume,
  checkpointEvery: _every,
  evaluateEvery: _measured,
  includeSeen: _seen,
  json: _json,
  config: _config,
  ...rest
}: Flags): RecommenderOptions {
  if (synthetic === true && rest.data !== undefined) {
    raise('ERR_INVALID_ARGUMENT', 'train recommender: --data and --synthetic contradict each other. Give one of them.');
  }
  return {
    ...rest,
    ...(lr === undefined ? {} : { learningRate: lr }),
    ...(untied === true ? { tied: false } : {}),
  };
}

/** Where the run is, and whether it may be there already. */
function placeOf({ out, resume }: Flags): Required<Pick<RunControl, 'out' | 'resume'>> {
  const begin = join('runs', `recommender-${timestamp(new Date())}`);
  if (resume === undefined) return { out: out ?? begin, resume: false };
  if (resume === 'auto') return { out: out ?? newestWaiting('runs') ?? begin, resume: 'auto' };
  if (out !== undefined && resolve(out) !== resolve(resume)) {
    raise(
      'ERR_INVALID_ARGUMENT',
      'train recommender: a run goes on in its own folder. Leave --out away with --resume DIR.',
    );
  }
  return { out: resume, resume: true };
}

/** Names of runs begin with their time: the last one is the newest. */
function newestWaiting(folder: string): string | null {
  if (!existsSync(folder)) return null;
  const names = readdirSync(folder).filter((name) => name.startsWith('recommender-'));
  const waiting = names.sort().filter((name) => canResume(join(folder, name)));
  return waiting.length === 0 ? null : join(folder, waiting.at(-1) as string);
}
