// Options that describe a training plan on the command line, and the events that it releases.

import { type Command, Option } from 'commander';

import { raise } from '../errors';
import {
  type Accountant,
  ballsAndBinsGaussian,
  type DpEvent,
  exact,
  fixedSizeGaussian,
  gaussian,
  type Neighbours,
  pld,
  poissonGaussian,
  prv,
  rdp,
  shuffledGaussian,
  truncatedPoissonGaussian,
} from '../privacy/accounting';
import { number } from './values';

const ACCOUNTANTS = { pld, prv, exact, rdp };

/** The samplers by their names, and the neighbours that each is charged for when none are named. */
const SAMPLERS = {
  poisson: 'addRemove',
  truncatedPoisson: 'addRemove',
  fixedSize: 'replace',
  ballsAndBins: 'addRemove',
  shuffle: 'zeroOut',
  external: 'addRemove',
} as const;

export interface PlanFlags {
  readonly samplingRate?: number;
  readonly records?: number;
  readonly batchSize?: number;
  readonly maxBatchSize?: number;
  readonly noiseMultiplier?: number;
  readonly epsilon?: number;
  readonly steps?: number;
  readonly epochs?: number;
  readonly delta: number;
  readonly accountant: keyof typeof ACCOUNTANTS;
  readonly sampler?: keyof typeof SAMPLERS;
  readonly neighbours?: Neighbours;
  readonly groupSize?: number;
  readonly json?: boolean;
}

/** Adds the options that every privacy command has. */
export function planOptions(command: Command): Command {
  return command
    .option('--sampling-rate <q>', 'share of the records in a batch; or give --records and --batch-size', number)
    .option('--records <n>', 'number of records', number)
    .option('--batch-size <b>', 'expected records in a batch', number)
    .option('--max-batch-size <m>', 'where truncatedPoisson cuts', number)
    .option('--steps <t>', 'number of steps; or give --epochs', number)
    .option('--epochs <e>', 'passes over the data', number)
    .requiredOption('--delta <d>', 'delta of the guarantee', number)
    .addOption(
      new Option(
        '--accountant <name>',
        'pld: certified upper bound; prv: upper end of a certified interval; exact: the value, without proof; rdp: looser bound',
      )
        .choices(Object.keys(ACCOUNTANTS))
        .default('pld'),
    )
    .addOption(
      new Option('--sampler <name>', 'how batches are drawn').choices(Object.keys(SAMPLERS)).default('poisson'),
    )
    .addOption(
      new Option(
        '--neighbours <relation>',
        'what two data sets differ in; default: what the sampler is sound for',
      ).choices(['addRemove', 'replace', 'zeroOut']),
    )
    .option('--group-size <k>', 'records of one person, hidden together (pld only)', number)
    .option('--json', 'last line on standard output: one JSON object');
}

/** The accountant that was asked for. @throws ERR_INVALID_ARGUMENT for groups with another one than pld. */
export function accountantOf({ accountant, groupSize }: Pick<PlanFlags, 'accountant' | 'groupSize'>): Accountant {
  if (groupSize === undefined) return ACCOUNTANTS[accountant]();
  if (accountant !== 'pld') {
    raise(
      'ERR_INVALID_ARGUMENT',
      `privacy: --group-size has sound accounting by pld only, got --accountant ${accountant}.`,
    );
  }
  return pld({ groupSize });
}

/** N, checked where it is given. @throws ERR_INVALID_ARGUMENT */
export function recordsOf({ records }: Pick<PlanFlags, 'records'>): number | undefined {
  if (records === undefined) return undefined;
  if (Number.isSafeInteger(records) && records > 0) return records;
  return raise(
    'ERR_INVALID_ARGUMENT',
    `privacy: --records must be a whole number above 0, got ${records}. Without records there is nothing to protect.`,
  );
}

/** q, from itself or from B / N. @throws ERR_INVALID_ARGUMENT */
export function rateOf(flags: PlanFlags): number {
  const { samplingRate, batchSize } = flags;
  const records = recordsOf(flags);
  if (samplingRate !== undefined && batchSize !== undefined) {
    raise('ERR_INVALID_ARGUMENT', 'privacy: give either --sampling-rate or --batch-size with --records, not both.');
  }
  if (samplingRate !== undefined) return checkRate(samplingRate, '--sampling-rate');
  if (batchSize === undefined || records === undefined) {
    return raise('ERR_INVALID_ARGUMENT', 'privacy: give --sampling-rate, or --records and --batch-size.');
  }
  if (!(Number.isSafeInteger(batchSize) && batchSize > 0)) {
    raise('ERR_INVALID_ARGUMENT', `privacy: --batch-size must be a whole number above 0, got ${batchSize}.`);
  }
  return checkRate(batchSize / records, '--batch-size over --records');
}

function checkRate(q: number, what: string): number {
  if (q > 0 && q <= 1) return q;
  return raise('ERR_INVALID_ARGUMENT', `privacy: ${what} is the share of a batch, above 0 and at most 1, got ${q}.`);
}

/** Steps of a pass: ceil(1/q), robust against the rounding of q. */
function passOf(q: number): number {
  return Math.ceil(1 / q - 1e-9);
}

/** T, from itself or from passes over the data. @throws ERR_INVALID_ARGUMENT */
export function stepsOf(flags: PlanFlags): number {
  const { steps, epochs } = flags;
  if ((steps === undefined) === (epochs === undefined)) {
    return raise('ERR_INVALID_ARGUMENT', 'privacy: give either --steps or --epochs.');
  }
  if (steps !== undefined) {
    if (Number.isSafeInteger(steps) && steps >= 0) return steps;
    return raise('ERR_INVALID_ARGUMENT', `privacy: --steps must be a whole number of at least 0, got ${steps}.`);
  }
  if (!((epochs as number) > 0 && Number.isFinite(epochs))) {
    raise('ERR_INVALID_ARGUMENT', `privacy: --epochs must be above 0, got ${epochs}.`);
  }
  const q = rateOf(flags);
  const whole = flags.sampler === 'ballsAndBins' || flags.sampler === 'shuffle';
  return whole ? Math.ceil((epochs as number) * passOf(q)) : Math.ceil((epochs as number) / q - 1e-9);
}

/** The relation that the plan is charged for. */
export function neighboursOf({ sampler = 'poisson', neighbours }: PlanFlags): Neighbours {
  return neighbours ?? SAMPLERS[sampler];
}

/** What `steps` steps release at a noise multiplier. @throws ERR_INVALID_ARGUMENT for combinations without sound accounting. */
export function eventOf(flags: PlanFlags, noiseMultiplier: number, steps: number): DpEvent {
  const { sampler = 'poisson', maxBatchSize } = flags;
  const neighbours = neighboursOf(flags);
  const q = rateOf(flags);
  if ((maxBatchSize !== undefined) !== (sampler === 'truncatedPoisson')) {
    raise('ERR_INVALID_ARGUMENT', 'privacy: --max-batch-size belongs to --sampler truncatedPoisson, which needs it.');
  }
  // The event checks the relation; those that leave no choice are checked here.
  const only = (sound: Neighbours): void => {
    if (neighbours === sound) return;
    raise(
      'ERR_INVALID_ARGUMENT',
      `privacy: --sampler ${sampler} has no sound accounting for --neighbours ${neighbours}, only for ${sound}.`,
    );
  };
  switch (sampler) {
    case 'poisson':
      return poissonGaussian(q, noiseMultiplier, steps, neighbours);
    case 'external':
      return gaussian(noiseMultiplier, steps, neighbours);
    case 'fixedSize':
      only('replace');
      return fixedSizeGaussian(q, noiseMultiplier, steps);
    case 'ballsAndBins':
      return ballsAndBinsGaussian(passOf(q), noiseMultiplier, steps, neighbours);
    case 'shuffle':
      only('zeroOut');
      return shuffledGaussian(passOf(q), noiseMultiplier, steps);
    case 'truncatedPoisson': {
      const records = recordsOf(flags);
      if (records === undefined) return raise('ERR_INVALID_ARGUMENT', 'privacy: truncatedPoisson needs --records.');
      const sampling = { samplingRate: q, records, maxBatchSize: maxBatchSize as number };
      return truncatedPoissonGaussian(sampling, noiseMultiplier, steps, neighbours);
    }
  }
}

/** Exactly one of σ and ε: a plan with both says what it wants twice. @throws ERR_PRIVACY_TARGET, ERR_INVALID_ARGUMENT */
export function noiseOrTarget({ noiseMultiplier, epsilon }: PlanFlags): void {
  if (noiseMultiplier !== undefined && epsilon !== undefined) {
    raise(
      'ERR_PRIVACY_TARGET',
      'privacy: --noise-multiplier and --epsilon contradict each other: one follows from the other. Give one of them.',
    );
  }
  if (noiseMultiplier === undefined && epsilon === undefined) {
    raise('ERR_INVALID_ARGUMENT', 'privacy: give --noise-multiplier, or --epsilon as the target.');
  }
}

/** What is legal but should be seen: a δ at which one record may be published outright. */
export function warningsOf(flags: PlanFlags): string[] {
  const records = recordsOf(flags);
  if (records === undefined || flags.delta < 1 / records) return [];
  return [
    `delta ${flags.delta} is at least 1/records = ${(1 / records).toPrecision(3)}: a mechanism that publishes one random record whole ` +
      `satisfies that. Take at most ${Math.min(1e-6, records ** -1.1).toPrecision(2)}.`,
  ];
}

/** Writes warnings to standard error, where they do not disturb a reader of the result. */
export function warn(warnings: readonly string[]): void {
  for (const line of warnings) console.error(`phantomgrad: warning: ${line}`);
}
