// What results.json of an accuracy table holds: its head, its cells, and the scorers that need no training.

import type { RecommenderOptions } from '../recommender';
import type { TrainedCell, Yardsticks } from './recommender-cell';
import type { Head } from './store';

/** What must be the same for cells to belong to one table. */
export interface ResultsHead extends Head {
  readonly data: { readonly name: string; readonly users: number; readonly items: number; readonly actions: number };
  /** Options of every cell, without those of its row. */
  readonly options: Omit<RecommenderOptions, 'data'>;
}

export interface CellId {
  /** Of the experiment's rows. */
  readonly row: string;
  readonly epsilon: number;
  readonly seed: number;
}

export interface Cell extends CellId, TrainedCell {}

export interface Results extends ResultsHead {
  readonly yardsticks: Yardsticks;
  readonly cells: readonly Cell[];
}
