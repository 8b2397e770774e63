// The tiny models of scripts/fixtures/decoder_models.py, with what Python's transformers makes of them in float64.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { ChoiceExample, TokenExample } from '../../../../lib/data';
import type { TaskName } from '../../../../lib/models';

export interface Expected {
  readonly examples: readonly (TokenExample | ChoiceExample)[];
  /** Of each text (or example, for classifiers): its rows without padding. */
  readonly logits: readonly (readonly number[] | readonly (readonly number[])[])[];
  readonly choiceLogits?: readonly (readonly number[])[];
  /** Of each example alone. */
  readonly losses: readonly number[];
  readonly norms: readonly { readonly total: number; readonly parameters: Readonly<Record<string, number>> }[];
  readonly generated?: Generated;
}

interface Tokens {
  readonly options: Readonly<Record<string, number | string | boolean | readonly number[]>>;
  readonly tokens: readonly (readonly number[])[];
}

export interface Generated {
  readonly prompts: readonly (readonly number[])[];
  readonly greedy: readonly (readonly number[])[];
  readonly beams: readonly Tokens[];
  readonly repeats: Tokens;
}

/** Every case with its task. */
export const CASES: readonly (readonly [name: string, task: TaskName])[] = [
  ['gpt2-lm', 'causal-lm'],
  ['gpt2-untied', 'causal-lm'],
  ['gpt2-classifier', 'sequence-classification'],
  ['gpt2-double-heads', 'double-heads'],
  ['openai-lm', 'causal-lm'],
  ['openai-double-heads', 'double-heads'],
  ['opt-lm', 'causal-lm'],
  ['opt-narrow-words', 'causal-lm'],
  ['opt-regression', 'sequence-classification'],
  ['llama-grouped', 'causal-lm'],
  ['llama-tied', 'causal-lm'],
  ['llama-multi-label', 'sequence-classification'],
];

export const LANGUAGE_MODELS = CASES.filter(([, task]) => task === 'causal-lm').map(([name]) => name);

export function folderOf(name: string): string {
  return join(__dirname, '../../../fixtures/models', name);
}

export function expectedOf(name: string): Expected {
  return JSON.parse(readFileSync(join(folderOf(name), 'expected.json'), 'utf8')) as Expected;
}
