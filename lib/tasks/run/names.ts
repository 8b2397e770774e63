// How tables for people call what a run measured; machines read the short names.

const ROWS: Readonly<Record<string, string>> = {
  private: 'private model',
  plain: 'the same, trained without privacy',
  before: 'before training',
  majority: 'most frequent class',
  unigram: 'frequencies of tokens',
  retrieval: 'text of the nearest training table',
  retrievalDelexicalised: 'the same with placeholders',
  popularity: 'popularity',
  markov: 'first-order Markov',
  optimum: 'best possible (knows how the histories were made)',
};

const METRICS: Readonly<Record<string, string>> = {
  accuracy: 'accuracy',
  macroF1: 'macro-F1',
  perplexity: 'perplexity',
  bleu: 'BLEU',
  nist: 'NIST',
  rougeL: 'ROUGE-L',
  hitAt10: 'HIT@10',
  ndcgAt10: 'NDCG@10',
  hitAt10IncludingSeen: 'HIT@10 incl. seen',
  ndcgAt10IncludingSeen: 'NDCG@10 incl. seen',
};

/** A model or a yardstick. */
export function rowName(name: string): string {
  return ROWS[name] ?? name;
}

export function metricName(name: string): string {
  return METRICS[name] ?? name;
}
