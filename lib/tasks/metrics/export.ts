// Predictions and references as plain files, for the tools that others compare with.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as check from '../../check';
import { raise } from '../../errors';
import { checkCorpus } from './ngrams';

/** The files that were written. */
export interface PredictionFiles {
  /** One prediction a line: for sacrebleu (`-i`) and for the E2E scripts. */
  readonly predictions: string;
  /** The references of one text on consecutive lines, an empty line between texts: for the E2E scripts. */
  readonly e2eReferences: string;
  /**
   * File k holds reference k of every text, one a line: for sacrebleu. Texts with fewer references repeat their first one, which changes no
   * score; an empty line would count as a reference without words, and change the brevity penalty (tried with sacrebleu 2.6.0).
   */
  readonly references: readonly string[];
}

/**
 * Writes `predictions.txt`, `references.e2e.txt` and `references.0.txt`, `references.1.txt` … into a folder. Line ends inside texts become spaces.
 *
 * `sacrebleu references.*.txt -i predictions.txt` and `measure_scores.py references.e2e.txt predictions.txt` read them.
 *
 * Predictions of a private model are as public as the model; references are the data, and are not.
 *
 * @throws ERR_INVALID_ARGUMENT where lists do not fit, or a reference is empty: the E2E scripts would take it for the end of a text.
 */
export function exportPredictions(
  folder: string,
  texts: readonly string[],
  references: readonly (readonly string[])[],
): PredictionFiles {
  check.text('exportPredictions', { folder });
  checkCorpus('exportPredictions', texts, references);
  const lines = references.map((list, k) => list.map((reference) => nonEmpty(oneLine(reference), k)));
  mkdirSync(folder, { recursive: true });
  const write = (name: string, content: readonly string[]): string => {
    const path = join(folder, name);
    writeFileSync(path, content.map((line) => `${line}\n`).join(''));
    return path;
  };
  const most = lines.reduce((count, list) => Math.max(count, list.length), 0);
  return {
    predictions: write('predictions.txt', texts.map(oneLine)),
    e2eReferences: write('references.e2e.txt', lines.flatMap((list) => [...list, '']).slice(0, -1)),
    references: Array.from({ length: most }, (_, r) =>
      write(
        `references.${r}.txt`,
        lines.map((list) => list[r] ?? list[0]!),
      ),
    ),
  };
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n\u2028\u2029\x85\v\f]+\s*/g, ' ').trim();
}

function nonEmpty(reference: string, text: number): string {
  if (reference === '') raise('ERR_INVALID_ARGUMENT', `exportPredictions: a reference of text ${text} is empty.`);
  return reference;
}
