// Metrics of classifiers, language models and generated text.

export { bleu } from './bleu';
export type { BleuOptions, BleuResult } from './bleu';
export { accuracy, macroF1, matthews, perplexity } from './classification';
export { exportPredictions } from './export';
export type { PredictionFiles } from './export';
export { nist } from './nist';
export type { NistOptions } from './nist';
export { rougeL } from './rouge';
export type { RougeResult } from './rouge';
export { tokenize13a } from './tokenize';
