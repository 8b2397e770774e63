// Gated recurrent units, with per-sample rules (Cho et al. 2014, arXiv 1406.1078, in PyTorch's form).

import { type Tensor, torch } from '../tensor';
import { type Cell, Recurrent, type RecurrentOptions } from './recurrent';

export interface GRUOutput {
  /** `[..., directions · hidden]`, the outputs of the last layer in the shape of the input. */
  readonly output: Tensor;
  /** `[layers · directions, B, hidden]` after the last row of each sample; the initial state of a sample without rows. */
  readonly hidden: Tensor;
}

/**
 * ```
 * r = σ(W_ir x + b_ir + W_hr h + b_hr)        z = σ(W_iz x + b_iz + W_hz h + b_hz)
 * n = tanh(W_in x + b_in + r (W_hn h + b_hn)) h' = (1 − z) n + z h
 * ```
 * Weights are PyTorch's: `weight_ih_l0` `[3 hidden, inputs]` stacks r, z, n, and so on.
 *
 * The input of all time steps is projected in one product; the recurrent one is called at every step, and its uses add up exactly.
 */
export class GRU extends Recurrent {
  /** @throws ERR_INVALID_ARGUMENT */
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super('GRU', 3, inputSize, hiddenSize, options);
  }

  /**
   * @param x `[N, inputs]` rows of the surrounding segments, in the order of time, without padding; or without a scope `[B, T, inputs]`.
   * @param hidden `[layers · directions, B, hidden]`, the state before the first row. Default: zeros.
   * @throws ERR_INVALID_ARGUMENT; ERR_BATCH_DIMENSION if the rows are not those of the segments, or a scope is missing
   */
  forward(x: Tensor, hidden: Tensor | null = null): GRUOutput {
    const { output, last } = this.run(x, 1, hidden === null ? null : [hidden]);
    return { output, hidden: last[0]! };
  }

  protected override step(input: Tensor, [h]: readonly [Tensor], { weightHh, biasHh }: Cell): Tensor[] {
    const [fromInput, fromState] = [input, torch.ops.phantomgrad.linear(h, weightHh, biasHh)];
    const [gates, candidate] = fromInput.splitWithSizes([2 * this.hiddenSize, this.hiddenSize], 1);
    const [stateGates, stateCandidate] = fromState.splitWithSizes([2 * this.hiddenSize, this.hiddenSize], 1);
    const [reset, keep] = gates!.add(stateGates!).sigmoid().split(this.hiddenSize, 1);
    const fresh = candidate!.add(reset!.mul(stateCandidate!)).tanh();
    return [fresh.add(keep!.mul(h.sub(fresh)))];
  }
}
