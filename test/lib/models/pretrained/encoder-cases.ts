// The tiny models of scripts/fixtures/encoder_models.py that read texts.

/** Every case with its task. */
export const ENCODERS = [
  ['bert-masked-lm', 'masked-lm'],
  ['bert-classifier', 'sequence-classification'],
  ['roberta-masked-lm', 'masked-lm'],
  ['roberta-regression', 'sequence-classification'],
  ['distilbert-masked-lm', 'masked-lm'],
  ['distilbert-sinusoidal', 'sequence-classification'],
  ['albert-masked-lm', 'masked-lm'],
  ['albert-groups', 'sequence-classification'],
] as const;
