// The yardsticks beside a trained model: popularity, first-order Markov, and the law's own optimum where it is known.

import type { EvaluationSet, SequenceDataset } from '../../data';
import { markov } from '../../models/markov';
import { popularity } from '../../models/popularity';
import type { Scorer } from '../../models/scorer';
import type { MetricsLine } from '../../report/metrics-log';
import { type Accuracy, evaluateRanking } from '../ranking';
import type { AccuracyEvent, OnEvent } from '../run/events';

/** HIT@10 and NDCG@10 of one scorer over all held-out items. Computed from private data without noise: no ε covers it. */
export interface Row extends Accuracy {
  readonly name: RowName;
  /** The same when items of the user's history are ranked too. */
  readonly includingSeen: Accuracy;
}

/** A line of the metrics log. */
export function rowLine({ name, ...row }: Row): MetricsLine & { readonly event: string } {
  return { event: 'accuracy', scorer: name, ...columns(row) };
}

/** A line of the metrics log for what is measured while the model trains. */
export function pointLine({ kind, role, step, epoch, ...of }: AccuracyEvent): MetricsLine & { readonly event: string } {
  return { event: kind, role, step, epoch, ...columns({ ...of.excludingSeen, includingSeen: of.includingSeen }) };
}

function columns({ hit, ndcg, includingSeen }: Omit<Row, 'name'>): MetricsLine {
  return {
    hitAt10: hit,
    ndcgAt10: ndcg,
    hitAt10IncludingSeen: includingSeen.hit,
    ndcgAt10IncludingSeen: includingSeen.ndcg,
  };
}

export type RowName = 'private' | 'plain' | 'popularity' | 'markov' | 'optimum';

/** Ranks with one scorer. Items of the history are left out, `includingSeen` says the other convention. */
export function measure(name: RowName, scorer: Scorer, test: EvaluationSet, onEvent: OnEvent): Row {
  const { excludingSeen, includingSeen } = evaluateRanking(scorer, test, {
    onProgress: (done, users) => onEvent({ kind: 'evaluation', name, done, users }),
  });
  return { name, ...excludingSeen, includingSeen };
}

/** The rows that need no training. */
export function baselines(
  train: SequenceDataset,
  test: EvaluationSet,
  optimum: Scorer | null,
  onEvent: OnEvent,
): Row[] {
  const rows = [
    measure('popularity', popularity(train), test, onEvent),
    measure('markov', markov(train), test, onEvent),
  ];
  return optimum === null ? rows : [...rows, measure('optimum', optimum, test, onEvent)];
}
