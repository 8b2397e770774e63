// Options that all fine-tuning jobs share: what may be said, what is refused before anything is read, and the defaults.

import * as check from '../../check';
import { raise } from '../../errors';
import { abadi, automatic, type Clip, normalize, psac } from '../../privacy';
import { checkDevice } from '../../tensor';
import type { Preset } from './presets';

export type FineTuneTask = 'lm' | 'classifier' | 'table2text' | 'images';

/** Clipping rules by name. */
export const CLIPS = { abadi, automatic, normalize, psac } as const satisfies Record<
  string,
  (options: { maxGradNorm: number }) => Clip
>;

/** What a user may say about any of the jobs. */
export interface CommonOptions {
  /** Training data; what it must be, the task says. */
  readonly data: string;
  /** Held-out data of the same kind. */
  readonly test?: string;
  /** Folder of a pretrained model, or its name in the local hub cache. */
  readonly model?: string;
  /** Train from scratch: a JSON file such as config.json, or the name of a preset. Default without `model`: the preset of the task. */
  readonly config?: string;
  /** Default 8. */
  readonly epsilon?: number;
  /** Default min(1e-6, N^-1.1) for N records. */
  readonly delta?: number;
  readonly epochs?: number;
  /** Expected records a step. Default 1024, at most a quarter of the records. */
  readonly batchSize?: number;
  /** Highest rate of the schedule, which falls to 0. */
  readonly learningRate?: number;
  /** Share of the steps in which the rate rises first. Default 0. */
  readonly warmup?: number;
  /** L2. Default 0. */
  readonly weightDecay?: number;
  /** C. Default 0.1 for a pretrained model, 1 from scratch. */
  readonly maxGradNorm?: number;
  /**
   * Gradients of all weights but the word table are multiplied by this before they are clipped: below 1, the words have more of C.
   * Default 0.03 for a classifier from scratch, else 1: as they are.
   */
  readonly groupScale?: number;
  /**
   * Share of the steps, from 0 to below 1, that a running average of the weights looks back on; the run ends with it, at no cost in
   * privacy. Default 0.15 for a classifier from scratch, else 0: the last weights.
   */
  readonly average?: number;
  /** Default `abadi`: longer gradients are cut to C. */
  readonly clip?: keyof typeof CLIPS;
  /** Train low-rank additions of this rank to the attention layers, and a new head. */
  readonly lora?: number;
  /** Train keys and values of this many rows before every text (prefix tuning); models that write text only. */
  readonly prefix?: number;
  /** With `prefix`: width of a network that makes them while they are trained. Default: none. */
  readonly prefixProjection?: number;
  /** Train biases, and a new head. */
  readonly biasesOnly?: boolean;
  /** Train the head alone. */
  readonly headOnly?: boolean;
  /** Train the same model without privacy as well, for comparison. Default false. */
  readonly plain?: boolean;
  /** Initial weights of what is new, dropout, choice among references. Noise and sampling never repeat. Default 0. */
  readonly seed?: number;
  /** Steps that the noise pays for beyond the planned ones, for those that a crash loses. Default 0. */
  readonly recoverySteps?: number;
  /** MiB for the rows of one physical batch: changes speed, not results. Default 256. */
  readonly memory?: number;
  /** The first 1,000 records, one epoch and the first 200 held-out records: does everything work? Default false. */
  readonly quick?: boolean;
  /** Where the model is trained and measured: `cpu`, `cuda` or `cuda:N`. A run may go on elsewhere. Default `cpu`. */
  readonly device?: string;
}

export const COMMON_KEYS = [
  ...['data', 'test', 'model', 'config', 'epsilon', 'delta', 'epochs', 'batchSize', 'learningRate', 'warmup'],
  ...[
    'weightDecay',
    'maxGradNorm',
    'clip',
    'groupScale',
    'average',
    'lora',
    'prefix',
    'prefixProjection',
    'biasesOnly',
    'headOnly',
    'plain',
    'seed',
    'recoverySteps',
  ],
  ...['memory', 'quick', 'device'],
] as const;

/** What differs between tasks, and between pretrained models and new ones. */
export interface TaskDefaults {
  readonly preset: Preset;
  readonly epochs: { readonly pretrained: number; readonly scratch: number };
  readonly learningRate: { readonly pretrained: number; readonly scratch: number };
  readonly groupScale: { readonly pretrained: number; readonly scratch: number };
  readonly average: { readonly pretrained: number; readonly scratch: number };
}

export const DEFAULTS = {
  epsilon: 8,
  batchSize: 1024,
  warmup: 0,
  weightDecay: 0,
  maxGradNorm: { pretrained: 0.1, scratch: 1 },
  clip: 'abadi',
  seed: 0,
  recoverySteps: 0,
  memory: 256,
  device: 'cpu',
  quick: { records: 1000, heldOut: 200, tables: 20, epochs: 1 },
} as const;

/** All common options, decided as far as that needs no data. */
export interface ResolvedCommon {
  readonly data: string;
  readonly test: string | undefined;
  readonly model: string | undefined;
  /** Undefined with `model`. */
  readonly config: string | undefined;
  readonly epsilon: number;
  readonly delta: number | undefined;
  readonly epochs: number;
  readonly batchSize: number | undefined;
  readonly learningRate: number;
  readonly warmup: number;
  readonly weightDecay: number;
  readonly maxGradNorm: number;
  readonly clip: keyof typeof CLIPS;
  readonly groupScale: number;
  readonly average: number;
  readonly trains: Trains;
  readonly plain: boolean;
  readonly seed: number;
  readonly recoverySteps: number;
  readonly memory: number;
  readonly quick: boolean;
  readonly device: string;
}

/** Which parameters are trained. */
export type Trains =
  | 'all'
  | 'biases'
  | 'head'
  | { readonly lora: number }
  | { readonly prefix: number; readonly projection: number | null };

/** @throws ERR_INVALID_ARGUMENT naming the option, what it must be, and what it is. @throws ERR_DEVICE where the device is not there. */
export function resolveCommon(name: string, options: CommonOptions, defaults: TaskDefaults): ResolvedCommon {
  const { data, test, model, config, epsilon = DEFAULTS.epsilon, delta, batchSize } = options;
  const { warmup = DEFAULTS.warmup, weightDecay = DEFAULTS.weightDecay, clip = DEFAULTS.clip } = options;
  const { seed = DEFAULTS.seed, plain = false, quick = false } = options;
  const { recoverySteps = DEFAULTS.recoverySteps, memory = DEFAULTS.memory, device = DEFAULTS.device } = options;
  const from = model === undefined ? 'scratch' : 'pretrained';
  const { epochs = quick ? DEFAULTS.quick.epochs : defaults.epochs[from] } = options;
  const { learningRate = defaults.learningRate[from], maxGradNorm = DEFAULTS.maxGradNorm[from] } = options;
  const trains = trainsOf(name, options);
  // Where the word table is frozen, there is nothing that the others could make room for.
  const { groupScale = trains === 'all' ? defaults.groupScale[from] : 1 } = options;
  const { average = defaults.average[from] } = options;
  if (typeof data !== 'string' || data === '')
    raise('ERR_INVALID_ARGUMENT', `${name}: name the training data with --data.`);
  if (model !== undefined && config !== undefined)
    raise(
      'ERR_INVALID_ARGUMENT',
      `${name}: a pretrained model (--model) has its own configuration; leave --config out.`,
    );
  check.positive(name, { epsilon });
  if (delta !== undefined) check.between(name, { delta }, 0, 1);
  check.positive(name, { epochs });
  if (batchSize !== undefined) check.integer(name, { batchSize }, 1);
  check.positive(name, { learningRate });
  if (!(warmup >= 0 && warmup < 1))
    raise('ERR_INVALID_ARGUMENT', `${name}: warmup must be a share of the steps, from 0 to below 1, got ${warmup}.`);
  check.notNegative(name, { weightDecay });
  check.positive(name, { maxGradNorm });
  check.oneOf(name, { clip }, Object.keys(CLIPS) as (keyof typeof CLIPS)[]);
  check.positive(name, { groupScale });
  check.share(name, { average });
  check.integer(name, { seed }, 0, 2 ** 32 - 1);
  check.integer(name, { recoverySteps });
  check.positive(name, { memory });
  for (const [key, value] of Object.entries({ plain, quick })) check.oneOf(name, { [key]: value }, [true, false]);
  checkDevice(name, device);
  return {
    ...{ data, test, model, config: model === undefined ? (config ?? defaults.preset) : undefined },
    ...{ epsilon, delta, epochs, batchSize, learningRate, warmup, weightDecay, maxGradNorm, clip },
    ...{ groupScale, average, trains, plain, seed, recoverySteps, memory, quick, device },
  };
}

function trainsOf(name: string, options: CommonOptions): Trains {
  const { lora, prefix, prefixProjection: projection, biasesOnly = false, headOnly = false } = options;
  const chosen = [lora !== undefined, prefix !== undefined, biasesOnly, headOnly].filter(Boolean).length;
  if (chosen > 1)
    raise(
      'ERR_INVALID_ARGUMENT',
      `${name}: lora, prefix, biasesOnly and headOnly exclude each other. Give one of them.`,
    );
  if (projection !== undefined && prefix === undefined)
    raise('ERR_INVALID_ARGUMENT', `${name}: prefixProjection belongs to a prefix.`);
  if (lora !== undefined) {
    check.integer(name, { lora }, 1);
    return { lora };
  }
  if (prefix !== undefined) {
    check.integer(name, { prefix }, 1);
    if (projection !== undefined) check.integer(name, { prefixProjection: projection }, 1);
    return { prefix, projection: projection ?? null };
  }
  return biasesOnly ? 'biases' : headOnly ? 'head' : 'all';
}

/** Expected records a step where nothing else is said. N is public, so this costs no privacy. */
export function defaultBatchSize(records: number): number {
  return Math.max(1, Math.min(DEFAULTS.batchSize, Math.floor(records / 4)));
}
