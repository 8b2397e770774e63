// What results.json of an accuracy table holds: its head, its cells, and the scorers that need no training.

import type { Accuracy } from '../ranking';
import type { RecommenderOptions } from '../recommender';
import type { RowId } from './definitions';
import type { Head } from './store';

/** What must be the same for cells to belong to one table. */
export interface ResultsHead extends Head {
  readonly data: { readonly name: string; readonly users: number; readonly items: number; readonly actions: number };
  /** Options of every cell, without those of its row. */
  readonly options: Omit<RecommenderOptions, 'data'>;
}

export interface CellId {
  readonly row: RowId;
  readonly epsilon: number;
  readonly seed: number;
}

/** What the ledger says was spent. */
export interface CellPrivacy {
  readonly epsilon: number;
  readonly delta: number;
  readonly noiseMultiplier: number;
  readonly steps: number;
  /** Paid for and not in the model, after the process was killed. */
  readonly lostSteps: number;
}

export interface Cell extends CellId {
  readonly excludingSeen: Accuracy;
  readonly includingSeen: Accuracy;
  readonly privacy: CellPrivacy;
  /** Mean training loss over about a hundredth of the steps each, with the epoch at its end; not private. */
  readonly losses: readonly (readonly [epoch: number, loss: number])[];
  readonly secondsPerEpoch: number;
  readonly finished: string;
}

/** Accuracies of the scorers that need no training, from the first cell. */
export type Yardsticks = Readonly<
  Record<string, { readonly excludingSeen: Accuracy; readonly includingSeen: Accuracy }>
>;

export interface Results extends ResultsHead {
  readonly yardsticks: Yardsticks;
  readonly cells: readonly Cell[];
}
