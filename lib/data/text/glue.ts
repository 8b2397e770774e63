// Sentence classification files: the layouts of GLUE, by the names in their first line.

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import * as check from '../../check';
import { quote, refuse } from '../readers/failure';
import { lineBlocks } from '../readers/lines';
import { openSource } from '../readers/source';

/** Texts with classes. */
export interface ClassifiedTexts {
  /** Names of the classes; class c is `labels[c]`. */
  readonly labels: readonly string[];
  readonly examples: readonly ClassifiedText[];
  /** Lines that were left out because fields were missing; 0 unless `malformed: 'skip'`. */
  readonly skipped: number;
}

export interface ClassifiedText {
  /** One text, or two for tasks about pairs. */
  readonly texts: readonly string[];
  /** 0..labels.length - 1; null in test files, which have no labels. */
  readonly label: number | null;
}

export interface ClassificationLayout {
  /** Columns of the texts, each by the names it may have. */
  readonly texts: readonly (readonly string[])[];
  /** Column of the label, by the names it may have. */
  readonly label: readonly string[];
  /** What stands in that column, in the order of the classes. */
  readonly labels: readonly string[];
}

export interface GlueOptions {
  /** Which file of a folder: `train` (default), `dev`, `dev_matched`, `test` …, as `split.tsv` or `split.tsv.gz`. */
  readonly split?: string;
  /**
   * Lines with missing fields: `refuse` (default), or `skip` and count them (the official QQP has a few). Which lines are left out depends
   * on each line alone.
   */
  readonly malformed?: 'refuse' | 'skip';
}

export type GlueTask = 'sst2' | 'qnli' | 'qqp' | 'mnli';

/** The classes in the order of the GLUE benchmark's usual numbering. */
export const GLUE: Readonly<Record<GlueTask, ClassificationLayout>> = {
  sst2: { texts: [['sentence', 'content', 'text']], label: ['label'], labels: ['0', '1'] },
  qnli: { texts: [['question'], ['sentence']], label: ['label'], labels: ['entailment', 'not_entailment'] },
  qqp: { texts: [['question1'], ['question2']], label: ['is_duplicate'], labels: ['0', '1'] },
  mnli: {
    texts: [['sentence1'], ['sentence2']],
    label: ['gold_label'],
    labels: ['entailment', 'neutral', 'contradiction'],
  },
};

/**
 * Reads SST-2, QNLI, QQP or MNLI: tab-separated lines without quoting, columns found by the names in the first line (official layouts, and
 * `label TAB text`), also gzipped.
 *
 * Privacy: an example is a line. Where one person or one document wrote several lines (the phrases of one SST-2 sentence, the questions of
 * one asker), ε holds for each line.
 *
 * @param path  The file, or a folder with `train.tsv` and so on.
 * @throws ERR_DATA_FORMAT (file, line, expected, found).
 * @example const train = await data.glue('mnli', 'glue/MNLI', { split: 'train' });
 */
export async function glue(task: GlueTask, path: string, options: GlueOptions = {}): Promise<ClassifiedTexts> {
  check.oneOf('glue', { task }, Object.keys(GLUE) as GlueTask[]);
  check.onlyKnown('glue', options, ['split', 'malformed']);
  const { split, malformed = 'refuse' } = options;
  return classifiedTexts(fileOf(path, split), GLUE[task], { malformed });
}

/** As {@link glue}, for files of your own. */
export async function classifiedTexts(
  file: string,
  layout: ClassificationLayout,
  options: Pick<GlueOptions, 'malformed'> = {},
): Promise<ClassifiedTexts> {
  check.object('classifiedTexts', { layout });
  check.onlyKnown('classifiedTexts', options, ['malformed']);
  const { malformed = 'refuse' } = options;
  check.oneOf('classifiedTexts', { malformed }, ['refuse', 'skip']);
  const source = await openSource(file);
  const examples: ClassifiedText[] = [];
  let columns: Columns | undefined;
  let skipped = 0;
  for await (const { first, lines } of lineBlocks(source)) {
    lines.forEach((text, k) => {
      if (text.trim() === '') return;
      const [fields, line] = [text.split('\t'), first + k];
      if (columns === undefined) {
        columns = findColumns(fields, layout, file, line);
        return;
      }
      const example = parse(fields, columns, layout, file, line, malformed === 'skip');
      if (example === null) skipped += 1;
      else examples.push(example);
    });
  }
  if (examples.length === 0) refuse({ file }, 'examples', 'none');
  return { labels: layout.labels, examples, skipped };
}

interface Columns {
  readonly texts: readonly number[];
  readonly label: number; // -1: a file without labels
  readonly count: number;
}

function fileOf(path: string, split: string | undefined): string {
  if (!existsSync(path) || !statSync(path).isDirectory()) {
    if (split !== undefined) refuse({ file: path }, 'a folder, because a split was named', 'no folder of that name');
    return path;
  }
  const names = [`${split ?? 'train'}.tsv`, `${split ?? 'train'}.tsv.gz`];
  const found = names.map((name) => join(path, name)).find(existsSync);
  return found ?? refuse({ file: path }, names.join(' or '), 'neither');
}

function findColumns(header: readonly string[], layout: ClassificationLayout, file: string, line: number): Columns {
  const find = (names: readonly string[]): number => header.findIndex((name) => names.includes(name.trim()));
  const texts = layout.texts.map(find);
  const label = find(layout.label);
  if (texts.includes(-1)) {
    const expected = [...layout.texts, layout.label].map((names) => names.join(' or ')).join(', ');
    refuse({ file, line }, `the names of columns (${expected}) separated by tabs`, quote(header.join('\t')));
  }
  return { texts, label, count: header.length };
}

function parse(
  fields: readonly string[],
  { texts, label, count }: Columns,
  { labels }: ClassificationLayout,
  file: string,
  line: number,
  skip: boolean,
): ClassifiedText | null {
  if (fields.length !== count) {
    if (skip && fields.length < count) return null;
    refuse({ file, line }, `${count} fields`, `${fields.length}: ${quote(fields.join('\t'))}`);
  }
  const found = texts.map((at) => fields[at]!.trim());
  if (found.includes('')) {
    if (skip) return null;
    refuse({ file, line }, 'text', 'an empty field');
  }
  if (label < 0) return { texts: found, label: null };
  const at = labels.indexOf(fields[label]!.trim());
  if (at < 0) refuse({ file, line }, `a label (${labels.join(', ')})`, quote(fields[label]));
  return { texts: found, label: at };
}
