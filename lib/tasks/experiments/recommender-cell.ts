// A cell that is one private training run of a recommender: its accuracy, what it cost, how it learned.

import { join } from 'node:path';

import type { PrivacySpent } from '../../privacy';
import type { Accuracy } from '../ranking';
import { type RecommenderOptions, trainRecommender } from '../recommender';
import { RUN_FILES } from '../run/folder';
import type { ExperimentControl } from './cells';
import { accuracyCurve, type AccuracyPoint, lossCurve } from '../run/curve';

/** What the ledger says was spent. */
export interface CellPrivacy {
  readonly epsilon: number;
  readonly delta: number;
  readonly noiseMultiplier: number;
  readonly steps: number;
  /** Paid for and not in the model, after the process was killed. */
  readonly lostSteps: number;
}

export interface TrainedCell {
  readonly excludingSeen: Accuracy;
  readonly includingSeen: Accuracy;
  readonly privacy: CellPrivacy;
  /** Mean training loss over about a hundredth of the steps each, with the epoch at its end; not private. */
  readonly losses: readonly (readonly [epoch: number, loss: number])[];
  /** As often as accuracy was measured in training; not private. */
  readonly accuracies?: readonly AccuracyPoint[];
  readonly secondsPerEpoch: number;
  readonly finished: string;
}

/** Accuracies of the scorers that need no training, from the first cell. */
export type Yardsticks = Readonly<
  Record<string, { readonly excludingSeen: Accuracy; readonly includingSeen: Accuracy }>
>;

/**
 * Trains in `folder`, or goes on there.
 *
 * @param evaluateEvery  Epochs between two points of `accuracies`; without it there are none.
 * @returns null when interrupted. @throws what `trainRecommender` throws.
 */
export async function trainCell(
  folder: string,
  options: RecommenderOptions,
  { signal, onEvent }: Pick<ExperimentControl, 'signal' | 'onEvent'>,
  evaluateEvery?: number,
): Promise<{ readonly cell: TrainedCell; readonly yardsticks: Yardsticks } | null> {
  const report = await trainRecommender(options, {
    ...{ out: folder, resume: 'auto' as const },
    ...(evaluateEvery !== undefined && { evaluateEvery }),
    ...(onEvent && { onEvent }),
    ...(signal && { signal }),
  });
  const own = report.rows.find(({ name }) => name === 'private');
  if (report.interrupted || own === undefined) return null;
  const { hit, ndcg, includingSeen } = own;
  const log = join(folder, RUN_FILES.metrics);
  const cell: TrainedCell = {
    excludingSeen: { hit, ndcg },
    includingSeen,
    privacy: cellPrivacy(report.privacy),
    losses: lossCurve(log),
    ...(evaluateEvery !== undefined && { accuracies: accuracyCurve(log) }),
    secondsPerEpoch: report.secondsPerEpoch,
    finished: new Date().toISOString(),
  };
  const yardsticks = report.rows
    .filter(({ name }) => name !== 'private')
    .map(({ name, hit, ndcg, includingSeen }) => [name, { excludingSeen: { hit, ndcg }, includingSeen }] as const);
  return { cell, yardsticks: Object.fromEntries(yardsticks) };
}

export function cellPrivacy({ epsilon, delta, noiseMultiplier, steps, lostSteps }: PrivacySpent): CellPrivacy {
  return { epsilon, delta, noiseMultiplier, steps, lostSteps };
}
