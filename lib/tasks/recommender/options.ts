// Options of a recommender run: what may be said, what is refused before anything is read, and the defaults.

import * as check from '../../check';
import { raise } from '../../errors';
import type { NoiseLevel } from '../../privacy';
import { checkDevice } from '../../tensor';

/** What a user may say. Everything has a default; `{}` trains on made-up histories. */
export interface RecommenderOptions {
  /** A file that `data.interactions` reads. Default: made-up long-tail histories. */
  readonly data?: string;
  /** File with one public item id a line. Without it the list of items is taken from the data, which no ε covers. */
  readonly catalogue?: string;
  /** Users with fewer actions are left out. Default 5. */
  readonly minActions?: number;
  /** Items with fewer actions are left out, before users are counted. Default 1. */
  readonly minItemActions?: number;
  /** Default 8. */
  readonly epsilon?: number;
  /** Default min(1e-6, N^-1.1) for N users. */
  readonly delta?: number;
  readonly epochs?: number;
  /** Steps that the noise pays for beyond the planned ones, for those that a crash loses. Default 0. */
  readonly recoverySteps?: number;
  /** How exactly noise is added: `strict` takes integers throughout, one user at a time, and nothing that needs frequencies. Default `default`. */
  readonly noise?: NoiseLevel;
  /** Expected users a step. */
  readonly batchSize?: number;
  /** Highest rate of the schedule. Default {@link defaultLearningRate}. */
  readonly learningRate?: number;
  /** Default 0. */
  readonly weightDecay?: number;
  /** Default `transformer`; `gru` and `lstm` are the paper's recurrent baselines. */
  readonly model?: 'transformer' | 'gru' | 'lstm';
  /** One table is embedding and softmax head at once. Default true. */
  readonly tied?: boolean;
  /** Width of the model. Default 64. */
  readonly dim?: number;
  /** Transformer blocks, default 2, or recurrent layers, default 1. */
  readonly blocks?: number;
  /** Attention heads, a divisor of `dim`. Default 1. */
  readonly heads?: number;
  /** Most recent items that the model reads. */
  readonly maxLength?: number;
  /** Share of activations dropped in training. */
  readonly dropout?: number;
  /** Whether every position predicts the item after it, or the last one only. Default `all`. */
  readonly targets?: 'all' | 'last';
  /**
   * Correct attention for the noise of training by noisy frequencies of the items, which a part of ε pays for. Default true for
   * Transformers; the others have no attention.
   */
  readonly reAttention?: boolean;
  /**
   * Start the softmax from log p̂, p̂ being the noisy frequencies of the items: the model need not learn popularity through noise. Default
   * true.
   */
  readonly outputBias?: boolean;
  /**
   * Scale-then-privatise: gradients of all weights but the item table are multiplied by this before they are clipped, which leaves more
   * of the bound to the table. 1 scales nothing. Default 0.2.
   */
  readonly groupScale?: number;
  /** Multiply the update of an item's row by √p̂, mean 1 under p̂: rows that are seldom used collect less noise. Default true. */
  readonly rowStep?: boolean;
  /** Initial weights and dropout. Noise and sampling never repeat. Default 0. */
  readonly seed?: number;
  /** Train the same model without privacy as well, for comparison. Default: for made-up histories only. */
  readonly plain?: boolean;
  /**
   * Measure on the item before each user's last one; nobody looks at the last one. For choosing settings that are then measured on the
   * last item, without this. Default false.
   */
  readonly validation?: boolean;
  /** A short run on less data, to see that everything works. */
  readonly quick?: boolean;
  /** Where the model is trained: `cpu`, `cuda` or `cuda:N`. A run may go on elsewhere. Default `cpu`. */
  readonly device?: string;
}

/** All options, with what they left open decided as far as that needs no data. */
export type ResolvedOptions = Required<
  Omit<RecommenderOptions, 'data' | 'catalogue' | 'delta' | 'batchSize' | 'learningRate'>
> &
  Pick<RecommenderOptions, 'data' | 'catalogue' | 'delta' | 'batchSize' | 'learningRate'>;

/** What is left open, by where the histories come from. */
export const DEFAULTS = {
  common: {
    minActions: 5,
    minItemActions: 1,
    epsilon: 8,
    recoverySteps: 0,
    noise: 'default',
    weightDecay: 0,
    model: 'transformer',
    tied: true,
    dim: 64,
    blocks: 2,
    heads: 1,
    targets: 'all',
    reAttention: true,
    outputBias: true,
    groupScale: 0.2,
    rowStep: true,
    seed: 0,
    validation: false,
    quick: false,
    device: 'cpu',
  },
  file: { epochs: 100, batchSize: 1024, maxLength: 200, dropout: 0.2, plain: false },
  synthetic: { users: 15_000, epochs: 5, batchSize: 512, maxLength: 50, dropout: 0.1, plain: true },
  quick: { users: 2_000, epochs: 2, plain: false },
  recurrent: { blocks: 1, reAttention: false },
} as const;

export const TASK = 'train recommender';

const KNOWN = [
  ...['data', 'catalogue', 'delta', 'epochs', 'batchSize', 'learningRate', 'maxLength', 'dropout', 'plain'],
  ...Object.keys(DEFAULTS.common),
];

/** Expected users a step where nothing else is said; at most a quarter of the users. N is public, so this costs no privacy. */
export function defaultBatchSize(users: number, source: 'file' | 'synthetic'): number {
  return Math.max(1, Math.min(DEFAULTS[source].batchSize, Math.floor(users / 4)));
}

/**
 * 0.17 / √steps: private training takes few steps of much noise, and the best rate was seen to fall with the root of their number.
 */
export function defaultLearningRate(steps: number): number {
  return 0.17 / Math.sqrt(steps);
}

/** Whether a run needs the noisy frequencies of the items, and pays for them. */
export function usesFrequencies({ reAttention, outputBias, rowStep }: ResolvedOptions): boolean {
  return reAttention || outputBias || rowStep;
}

/**
 * Noise multiplier of the item histogram: 5, and for small ε so much that the histogram stays about 1 % of the
 * budget. Measured at ε = 2 on the made-up histories: 5 takes 6 % more noise in training and a tenth of HIT@10.
 */
export function histogramNoise(epsilon: number): number {
  return Math.max(5, 40 / epsilon);
}

/**
 * Fills in the defaults and checks what can be checked without data.
 *
 * @throws ERR_INVALID_ARGUMENT naming the option, what it must be, and what it is. @throws ERR_DEVICE where the device is not there.
 */
export function resolveOptions(options: RecommenderOptions): ResolvedOptions {
  check.onlyKnown(TASK, options, KNOWN);
  const {
    epochs: usual,
    maxLength: longest,
    dropout: share,
    plain,
  } = DEFAULTS[options.data === undefined ? 'synthetic' : 'file'];
  const own = { epochs: usual, maxLength: longest, dropout: share, plain };
  const short = options.quick === true ? { epochs: DEFAULTS.quick.epochs, plain: DEFAULTS.quick.plain } : {};
  const { model = DEFAULTS.common.model } = options;
  const kind = model === 'transformer' ? {} : DEFAULTS.recurrent;
  const resolved = { ...DEFAULTS.common, ...own, ...short, ...kind, ...options };
  const { epsilon, delta, epochs, batchSize, learningRate, weightDecay, minActions, targets, recoverySteps } = resolved;
  const { dim, blocks, heads, maxLength, dropout, seed } = resolved;
  const name = TASK;
  check.positive(name, { epsilon });
  if (delta !== undefined) check.between(name, { delta }, 0, 1);
  check.positive(name, { epochs });
  check.integer(name, { recoverySteps });
  if (batchSize !== undefined) check.integer(name, { batchSize }, 1);
  if (learningRate !== undefined) check.positive(name, { learningRate });
  check.notNegative(name, { weightDecay });
  check.oneOf(name, { validation: resolved.validation }, [true, false]);
  check.integer(name, { minActions }, resolved.validation ? 3 : 2);
  check.integer(name, { minItemActions: resolved.minItemActions }, 1);
  check.oneOf(name, { targets }, ['all', 'last']);
  check.oneOf(name, { model }, ['transformer', 'gru', 'lstm']);
  check.oneOf(name, { tied: resolved.tied }, [true, false]);
  check.oneOf(name, { outputBias: resolved.outputBias }, [true, false]);
  check.oneOf(name, { rowStep: resolved.rowStep }, [true, false]);
  check.positive(name, { groupScale: resolved.groupScale });
  if (model !== 'transformer' && (resolved.reAttention || resolved.heads !== 1)) {
    raise('ERR_INVALID_ARGUMENT', `${name}: heads and Re-Attention belong to the Transformer, not to ${model}.`);
  }
  check.oneOf(name, { noise: resolved.noise }, ['default', 'strict']);
  if (resolved.noise === 'strict' && usesFrequencies(resolved)) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `${name}: strict noise is for gradients alone; Re-Attention, output bias and row steps take a histogram of items. Give ` +
        '--no-re-attention --no-output-bias --no-row-step.',
    );
  }
  check.integer(name, { dim }, 1);
  check.integer(name, { blocks }, 1);
  check.integer(name, { heads }, 1);
  check.integer(name, { maxLength }, 1);
  check.share(name, { dropout });
  check.integer(name, { seed }, 0, 2 ** 32 - 1);
  checkDevice(name, resolved.device);
  return resolved;
}
