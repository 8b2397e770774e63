// The models that accuracy tables compare: the paper's, and those with what goes beyond it.

import type { RecommenderOptions } from '../recommender';

export interface ExperimentRow {
  readonly id: string;
  readonly name: string;
  readonly options: RecommenderOptions;
  /** The row, if any, that it is compared with over the seeds that both have. */
  readonly against?: string;
}

/** In the order of the paper. Transformers have two blocks and one head, recurrent models one layer. */
const PAPER_ROWS: readonly ExperimentRow[] = [
  { id: 'gru', name: 'GRU', options: { model: 'gru' } },
  { id: 'lstm', name: 'LSTM', options: { model: 'lstm' } },
  { id: 'untied', name: 'Transformer w/o sharing', options: { tied: false, reAttention: false } },
  { id: 'vanilla', name: 'Transformer (vanilla)', options: { reAttention: false } },
  { id: 'reAttention', name: 'Transformer, Re-Attention', options: { reAttention: true }, against: 'vanilla' },
];

// Options of `train recommender`, explained in docs/recommender.md; the scale is its default.
const IDEAS = [
  { id: 'bias', name: 'output bias', options: { outputBias: true } },
  { id: 'scale', name: 'group scale', options: { groupScale: 0.2 } },
  { id: 'step', name: 'row step', options: { rowStep: true } },
  { id: 'ours', name: 'all three ideas', options: { outputBias: true, groupScale: 0.2, rowStep: true } },
] as const;

type Idea = (typeof IDEAS)[number];

const withIdea = ({ id, name, options }: Idea): readonly ExperimentRow[] => [
  { id, name: `Vanilla, ${name}`, options: { ...options, reAttention: false }, against: 'vanilla' },
  { id: `${id}-reAttention`, name: `Re-Attention, ${name}`, options: { ...options, reAttention: true }, against: id },
];

/** Of Tables 2 and 3: the paper's, then ours. */
export const TABLE_ROWS: readonly ExperimentRow[] = [
  ...PAPER_ROWS,
  ...IDEAS.filter(({ id }) => id === 'ours').flatMap(withIdea),
];

/** What each idea does by itself and together, with and without Re-Attention. */
export const IDEA_ROWS: readonly ExperimentRow[] = [
  ...PAPER_ROWS.filter(({ id }) => id === 'vanilla' || id === 'reAttention'),
  ...IDEAS.flatMap(withIdea),
];
