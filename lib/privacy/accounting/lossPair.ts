// What composition asks of one step's mechanism: the privacy loss of the pair of distributions that dominates it.

import type { Direction, TiltedSum } from './cumulant';
import type { DiscreteLoss, GridOptions } from './discretisation';
import type { LossNodes, NodeOptions } from './lossNodes';

/**
 * A pair (P, Q) with δ_mechanism(ε) <= H_{e^ε}(P || Q) for all real ε. Dominating pairs compose, also adaptively
 * (Zhu, Dong and Wang 2022, arXiv 2106.08567). Direction `add` is the pair (Q, P).
 */
export interface LossPair {
  /**
   * Λ(s) = log E_P[e^{sL}] with its derivatives, by quadrature.
   *
   * @param logCut  Leaves out the largest losses, of P-mass at most exp(logCut): to choose windows, not for bounds.
   */
  tilted(direction: Direction, s: number, logCut: number): TiltedSum;
  /** The privacy loss on a grid, never below the truth. */
  discretise(options: GridOptions): DiscreteLoss;
  /** The privacy loss as a list of weighted values: for estimates. */
  nodes(options: NodeOptions): LossNodes;
  /** The largest loss that can occur. */
  largestLoss(direction: Direction): number;
  /** Tilts above this need too many nodes. */
  readonly largestTilt: number;
  /** True when (P, Q) and (Q, P) have the same privacy loss. */
  readonly symmetric: boolean;
}
