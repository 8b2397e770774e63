// Long short-term memory, with per-sample rules (Hochreiter and Schmidhuber 1997, in PyTorch's form).

import { type Tensor, torch } from '../tensor';
import { affine } from './affine';
import { type Cell, Recurrent, type RecurrentOptions } from './recurrent';

/** Both `[layers · directions, B, hidden]`. */
export interface LSTMState {
  readonly hidden: Tensor;
  readonly cell: Tensor;
}

export interface LSTMOutput extends LSTMState {
  /** `[..., directions · hidden]`, the outputs of the last layer in the shape of the input. */
  readonly output: Tensor;
}

/**
 * ```
 * i, f, o = σ(W_i· x + b_i· + W_h· h + b_h·)   g = tanh(W_ig x + b_ig + W_hg h + b_hg)
 * c' = f c + i g                               h' = o tanh(c')
 * ```
 * Weights are PyTorch's: `weight_ih_l0` `[4 hidden, inputs]` stacks i, f, g, o, and so on.
 */
export class LSTM extends Recurrent {
  /** @throws ERR_INVALID_ARGUMENT */
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super('LSTM', 4, inputSize, hiddenSize, options);
  }

  /**
   * @param x `[N, inputs]` rows of the surrounding segments, in the order of time, without padding; or without a scope `[B, T, inputs]`.
   * @param initial The state before the first row. Default: zeros.
   * @returns The last state of a sample without rows is its initial one.
   * @throws ERR_INVALID_ARGUMENT; ERR_BATCH_DIMENSION if the rows are not those of the segments, or a scope is missing
   */
  forward(x: Tensor, initial: LSTMState | null = null): LSTMOutput {
    const { output, last } = this.run(x, 2, initial === null ? null : [initial.hidden, initial.cell]);
    return { output, hidden: last[0]!, cell: last[1]! };
  }

  // The second bias needs no state: added here, it has one use instead of one a time step.
  protected override project(x: Tensor, cell: Cell): Tensor {
    const gates = super.project(x, cell);
    return cell.biasHh === null ? gates : affine(gates, null, cell.biasHh);
  }

  protected override step(input: Tensor, [h, c]: readonly [Tensor, Tensor], { weightHh }: Cell): Tensor[] {
    const gates = input.add(torch.ops.phantomgrad.linear(h, weightHh)).split(this.hiddenSize, 1);
    const [write, forget, fresh, read] = gates as [Tensor, Tensor, Tensor, Tensor];
    const cell = forget.sigmoid().mul(c).add(write.sigmoid().mul(fresh.tanh()));
    return [read.sigmoid().mul(cell.tanh()), cell];
  }
}
