// README.md of a model folder: what the model is, and what is promised to the people whose data it has learnt from.

import { join } from 'node:path';

import { raise } from '../../errors';
import { replaceFile } from '../../files';
import type { Origin } from './family';

/** The part of a privacy statement that readers of a model need; `privacy.privacyStatement(engine, …)` has it, and privacy.json. */
export interface CardStatement {
  readonly epsilon: number;
  readonly delta: number;
  /** What one record is: whose presence is hidden. */
  readonly unit: string;
  readonly neighbours: string;
  readonly accountant: string;
  readonly noiseMultiplier: number;
  readonly records: number;
  readonly steps: number;
  readonly notCovered: readonly string[];
  /** Set when nothing here may be relied upon. */
  readonly insecure: boolean;
  /** The promise in words. */
  readonly text: string;
}

export interface ModelCard {
  /** Default: family and task. */
  readonly title?: string;
  /** What the model is for, in a few sentences. */
  readonly description?: string;
  /** Name of the model that training began with. */
  readonly base?: string;
  /** Identifier of a licence, such as «apache-2.0». */
  readonly license?: string;
  /** Code of a language, such as «en». */
  readonly language?: string;
  readonly statement: CardStatement;
  /** What was measured, by name: results on private data are releases of their own, and belong here only if they were paid for. */
  readonly results?: Readonly<Record<string, number>>;
}

const PIPELINES: Readonly<Record<string, string>> = {
  'causal-lm': 'text-generation',
  'masked-lm': 'fill-mask',
  'conditional-generation': 'text2text-generation',
  'sequence-classification': 'text-classification',
  'image-classification': 'image-classification',
  'image-classification-with-teacher': 'image-classification',
  features: 'feature-extraction',
};

/** @param library  What reads the folder in Python. @throws ERR_INVALID_ARGUMENT for a statement without its numbers */
export async function writeCard(
  folder: string,
  origin: Pick<Origin, 'family' | 'task'>,
  card: ModelCard,
  library: 'transformers' | 'peft',
): Promise<void> {
  await replaceFile(join(folder, 'README.md'), cardOf(origin, card, library));
}

export function cardOf(
  { family, task }: Pick<Origin, 'family' | 'task'>,
  { title = `${family.modelType}, ${task}`, description, base, license, language, statement, results }: ModelCard,
  library: 'transformers' | 'peft',
): string {
  const { epsilon, delta, insecure, text, notCovered } = statement;
  if (typeof text !== 'string' || typeof epsilon !== 'number' || typeof delta !== 'number') {
    raise(
      'ERR_INVALID_ARGUMENT',
      'card: the statement must have epsilon, delta and text: give what privacy.privacyStatement() returns.',
    );
  }
  const header = [
    ['library_name', library],
    ['pipeline_tag', PIPELINES[task]],
    ['base_model', base],
    ['license', license],
    ['language', language],
  ].flatMap(([field, value]) => (value === undefined ? [] : [`${field}: ${JSON.stringify(value)}`]));
  // An insecure run has no place among private models.
  const tags = insecure ? [] : ['tags:', '  - differential-privacy'];
  const rows: readonly (readonly [string, string])[] = [
    ['ε', insecure ? 'none' : epsilon.toPrecision(4)],
    ['δ', insecure ? 'none' : delta.toPrecision(3)],
    ['one record', statement.unit],
    ['neighbours', statement.neighbours],
    ['accountant', statement.accountant],
    ['noise multiplier', statement.noiseMultiplier.toPrecision(5)],
    ['records', String(statement.records)],
    ['steps', String(statement.steps)],
  ];
  return [
    ['---', ...header, ...tags, '---'].join('\n'),
    `# ${title}`,
    ...(description === undefined ? [] : [description]),
    '## Privacy',
    text,
    table(['', ''], rows),
    ...(notCovered.length === 0 ? [] : [`Not covered by ε:\n\n${notCovered.map((what) => `- ${what}`).join('\n')}`]),
    ...(results === undefined
      ? []
      : [
          '## Results',
          table(
            ['', ''],
            Object.entries(results).map(([name, value]) => [name, String(value)] as const),
          ),
        ]),
    'Trained with phantomgrad.',
  ]
    .join('\n\n')
    .concat('\n');
}

function table(head: readonly [string, string], rows: readonly (readonly [string, string])[]): string {
  const cell = (text: string): string => text.replace(/\|/g, '\\|').replace(/\s+/g, ' ');
  const line = ([name, value]: readonly [string, string]): string => `| ${cell(name)} | ${cell(value)} |`;
  return [line(head), '| --- | --- |', ...rows.map(line)].join('\n');
}
