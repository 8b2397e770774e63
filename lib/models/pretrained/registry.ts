// All families by the model_type of their config.json, and what each task gives.

import { albert } from '../families/albert';
import { bart } from '../families/bart';
import { beit } from '../families/beit';
import { bert } from '../families/bert';
import { deit } from '../families/deit';
import { distilbert } from '../families/distilbert';
import { gpt2 } from '../families/gpt2';
import { llama } from '../families/llama';
import { openaiGpt } from '../families/openai-gpt';
import { opt } from '../families/opt';
import { roberta } from '../families/roberta';
import { t5 } from '../families/t5';
import { vit } from '../families/vit';
import type { CausalLM } from './causal-lm';
import type { ConditionalGeneration } from './conditional-generation';
import type { DoubleHeads } from './double-heads';
import type { Family } from './family';
import type { FeatureExtractor } from './feature-extractor';
import type { ImageClassifier } from './image-classifier';
import type { MaskedLM } from './masked-lm';
import type { SequenceClassifier } from './sequence-classifier';

/** The class of a model by its task. */
export interface TaskModels {
  readonly 'causal-lm': CausalLM;
  readonly 'conditional-generation': ConditionalGeneration;
  readonly 'double-heads': DoubleHeads;
  readonly 'image-classification': ImageClassifier;
  readonly 'image-classification-with-teacher': ImageClassifier;
  readonly 'masked-lm': MaskedLM;
  readonly 'sequence-classification': SequenceClassifier;
  readonly features: FeatureExtractor;
}

export type TaskName = keyof TaskModels;

/** One row a family. */
export const FAMILIES: readonly Family[] = [
  gpt2,
  openaiGpt,
  opt,
  llama,
  bert,
  roberta,
  distilbert,
  albert,
  bart,
  t5,
  vit,
  deit,
  beit,
];
