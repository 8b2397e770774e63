// Sizes and schedules of the language-model experiment: the paper's, one for CPUs, and one that only shows that everything works.

import type { CharTransformerOptions } from '../../../models/char-transformer';

export type Size = 'full' | 'small' | 'quick';

export interface TextSettings {
  readonly model: Omit<CharTransformerOptions, 'characters' | 'reAttention' | 'seed'> & { readonly maxLength: number };
  readonly epochs: number;
  /** Expected blocks a step. */
  readonly batchSize: number;
  /** Highest rate of Adam, with privacy and without. */
  readonly rates: { readonly private: number; readonly plain: number };
  readonly epsilon: number;
  /** Characters of the made-up text, where no file is given. */
  readonly madeUp: number;
  /** Texts drawn from each model. */
  readonly samples: {
    readonly count: number;
    readonly length: number;
    readonly temperature: number;
    readonly seed: number;
  };
}

/** Of the paper: width, heads, blocks, epochs, dropout, Adam. Block length as usual at this size; batch size, rates and ε are ours. */
export const SETTINGS: Readonly<Record<Size, TextSettings>> = {
  full: {
    model: { dim: 384, heads: 6, blocks: 6, maxLength: 256, dropout: 0.2 },
    epochs: 2000,
    batchSize: 1024,
    rates: { private: 2e-3, plain: 1e-3 },
    epsilon: 8,
    madeUp: 1_000_000,
    samples: { count: 3, length: 400, temperature: 0.8, seed: 1 },
  },
  small: {
    model: { dim: 64, heads: 2, blocks: 2, maxLength: 64, dropout: 0.1 },
    epochs: 10,
    batchSize: 512,
    rates: { private: 5e-3, plain: 3e-3 },
    epsilon: 8,
    madeUp: 1_000_000,
    samples: { count: 3, length: 300, temperature: 0.8, seed: 1 },
  },
  quick: {
    model: { dim: 16, heads: 2, blocks: 2, maxLength: 16, dropout: 0.1 },
    epochs: 1,
    batchSize: 32,
    rates: { private: 1e-2, plain: 1e-2 },
    epsilon: 8,
    madeUp: 4_000,
    samples: { count: 1, length: 40, temperature: 0.8, seed: 1 },
  },
};

export type TextRow = 'plain' | 'private' | 'reAttention';

export const TEXT_ROWS: readonly { readonly id: TextRow; readonly name: string }[] = [
  { id: 'private', name: 'private, plain attention' },
  { id: 'reAttention', name: 'private, Re-Attention' },
  { id: 'plain', name: 'without privacy' },
];

export const TEXT_NOT_COVERED: readonly string[] = [
  'more than one block: a speech, a speaker or a play fills many blocks, and nothing is promised for them',
  'losses on training and validation text, which are computed without noise: do not publish them for private text',
  'the choice of hyper-parameters, and the number of blocks',
  'anything about the model without privacy and its texts',
];
