// The tiny models of scripts/fixtures/seq2seq_models.py, with what Python's transformers makes of them in float64.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Seq2SeqExample } from '../../../../lib/data';
import { type Expected, folderOf } from './fixtures';

export interface ExpectedOfPairs extends Pick<Expected, 'logits' | 'losses' | 'norms'> {
  readonly examples: readonly Seq2SeqExample[];
  readonly generated: {
    readonly prompts: readonly (readonly number[])[];
    readonly greedy: readonly (readonly number[])[];
    readonly modes: readonly {
      readonly options: Readonly<Record<string, number | string | boolean | readonly number[]>>;
      readonly tokens: readonly (readonly number[])[];
    }[];
  };
}

export const PAIR_MODELS = ['bart-scaled', 'bart-relu', 't5-tied', 't5-untied'] as const;

export function expectedPairsOf(name: string): ExpectedOfPairs {
  return JSON.parse(readFileSync(join(folderOf(name), 'expected.json'), 'utf8')) as ExpectedOfPairs;
}
