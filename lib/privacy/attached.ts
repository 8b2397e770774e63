// What an engine asks of a model and of a loss, and what it adds to an optimizer.

import type { Optimizer } from '../optim';
import type { Tensor } from '../tensor';
import type { Packing } from './batch-stream';

/** What an engine needs to know of a model; every nn.Module fits. */
export interface TrainableModel {
  readonly training: boolean;
  namedParameters(): Iterable<readonly [string, Tensor]>;
  /** How batches for this model should be laid out. */
  packing?(): Packing;
}

/**
 * `factors`: norms and sums straight from what the layers keep. `materialize`: every per-sample gradient is formed in float64 first,
 * parameter by parameter; slow and large, for verification.
 */
export type GradientMode = 'factors' | 'materialize';

/** Speed settings: they change how a step is cut into pieces, never ε, and the result only by rounding. */
export interface Performance {
  /** Memory for the rows of one physical batch, default 48 MiB. */
  readonly memoryBudget?: number;
  /** Default `factors`. */
  readonly gradients?: GradientMode;
}

export interface StepInput {
  /**
   * `[samples]`, one entry a sample of the batch. A loss is traced to its batch by the segments that its operators ran in
   * (`nn.withSegments(nn.Segments.of(batch), …)`); of operators without them only the number of samples is compared.
   */
  readonly loss: Tensor;
  /** The loss was multiplied by this; gradients are divided by it again. Default 1. */
  readonly lossScale?: number;
}

/** What `attach` adds to an optimizer. */
export interface AttachedSteps {
  /** Sums the clipped gradients of `loss`; at the end of a logical batch, updates the parameters. */
  step(input: StepInput): void;
  /** Sums the clipped gradients of `loss` without updating, for loops over batches of one's own. */
  virtualStep(input: StepInput): void;
}

export type Attached<O extends Optimizer> = Omit<O, 'step'> & AttachedSteps;
