// A GRU or LSTM that predicts the next item of a history: the recurrent baselines of the paper.

import * as check from '../check';
import type { SequenceRows } from '../data';
import { Dropout, GRU, Initializer, LSTM } from '../nn';
import { beside, type Tensor } from '../tensor';
import { SequentialModel, type SequentialModelConfig } from './sequential-model';

/** Everything that makes the model, as it stands in config.json. */
export interface SequentialRecurrentConfig extends SequentialModelConfig {
  readonly cell: 'gru' | 'lstm';
  /** Default 1. */
  readonly layers: number;
}

/** What a user says: all but `items` and `cell` has a default. */
export type SequentialRecurrentOptions = Partial<SequentialRecurrentConfig> &
  Pick<SequentialRecurrentConfig, 'items' | 'cell'>;

const DEFAULTS = {
  dim: 64,
  layers: 1,
  maxLength: 200,
  dropout: 0.2,
  targets: 'all',
  tied: true,
  outputBias: false,
  seed: 0,
} as const;

/**
 * Items are embedded, dropped out, read in time order by `layers` recurrent layers of width `dim`, and scored by the same table unless
 * `tied` is false. The paper names its GRU and LSTM without giving their shape; this is the plainest one.
 *
 * @throws ERR_INVALID_ARGUMENT
 * @see Ding et al. 2024, section 5; Hidasi et al. 2016 (arXiv 1511.06939), GRU4Rec.
 * @example const model = new SequentialRecurrent({ cell: 'gru', items: users.itemCount, maxLength: 50 })
 */
export class SequentialRecurrent extends SequentialModel {
  readonly config: SequentialRecurrentConfig;
  readonly inputDropout: Dropout;
  readonly recurrent: GRU | LSTM;

  constructor(options: SequentialRecurrentOptions) {
    check.onlyKnown('SequentialRecurrent', options, ['items', 'cell', ...Object.keys(DEFAULTS)]);
    const config = Object.freeze({ ...DEFAULTS, ...options });
    const { items, cell, dim, layers, maxLength, dropout, targets, tied, seed } = config;
    check.integer('SequentialRecurrent', { items }, 1);
    check.oneOf('SequentialRecurrent', { cell }, ['gru', 'lstm']);
    check.integer('SequentialRecurrent', { dim }, 1);
    check.integer('SequentialRecurrent', { maxLength }, 1);
    check.oneOf('SequentialRecurrent', { targets }, ['all', 'last']);
    check.oneOf('SequentialRecurrent', { tied }, [true, false]);
    check.oneOf('SequentialRecurrent', { outputBias: config.outputBias }, [true, false]);
    const init = new Initializer(seed);
    super(config, init);
    this.config = config;
    this.inputDropout = new Dropout(dropout, { init });
    const between = layers > 1 ? { dropout } : {};
    this.recurrent = new (cell === 'gru' ? GRU : LSTM)(dim, dim, { layers, init, ...between });
  }

  protected override hidden({ ids, rows }: SequenceRows): Tensor {
    const embedded = this.items.forward(beside(this.items.weight, ids, [rows]));
    return this.recurrent.forward(this.inputDropout.forward(embedded)).output;
  }

  protected override activationsPerRow(): number {
    const { cell, layers, dim } = this.config;
    return layers * (cell === 'gru' ? 12 : 15) * dim;
  }
}
