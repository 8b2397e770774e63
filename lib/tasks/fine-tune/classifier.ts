// `train classifier`: texts and pairs of texts into classes, by a head or by the word that a masked language model fills in.

import { statSync } from 'node:fs';

import * as check from '../../check';
import {
  type ClassificationLayout,
  classificationRecords,
  type ClassifiedTexts,
  classifiedTexts,
  GLUE,
  glue,
  type GlueTask,
  infilling,
  PROMPTS,
  type TextTokenizer,
  type TokenDataset,
} from '../../data';
import { raise } from '../../errors';
import { fromPretrained, type MaskedLM, type SequenceClassifier } from '../../models';
import { classesOf, type Exam, majority, wordsOf } from './exam';
import { limits, storedTokenizer } from './lm';
import type { Material, Task } from './material';
import { type CommonOptions, DEFAULTS } from './options';
import { maker, sourceOf } from './source';
import { checkVocabulary, chooseTokenizer, LEARNED_TOKENIZER, tokenFields } from './tokenizers';

export interface ClassifierOptions extends CommonOptions {
  /** Folder with train.tsv and dev.tsv, or the file to train on; also gzipped. */
  readonly data: string;
  /** Held-out file; default: dev.tsv (dev_matched.tsv) of the folder. */
  readonly test?: string;
  /** Layout of the files. Default `sst2`. */
  readonly task?: GlueTask;
  /** Another layout: columns of one or two texts, column of the label, and its values in the order of the classes. */
  readonly layout?: { readonly texts: readonly string[]; readonly label: string; readonly labels: readonly string[] };
  /** Put examples to a masked language model, and read the class off the word at the mask. Default false. */
  readonly infilling?: boolean;
  /** With `infilling`: the template; default that of the task. */
  readonly template?: string;
  /** With `infilling`: a word for every class; default those of the task. */
  readonly words?: readonly string[];
  /** Default: the folder of the pretrained model. */
  readonly tokenizer?: string;
  /** Tokens of an example, which is cut to them. Default 256, at most what the model reads. */
  readonly maxLength?: number;
}

const NAME = 'train classifier';

type Model = SequenceClassifier | MaskedLM;

/** What training.json keeps. */
interface Settings {
  readonly task: GlueTask | null;
  readonly layout: ClassificationLayout;
  readonly maxLength: number;
  readonly infilling: { readonly template: string; readonly words: readonly string[] } | null;
}

export const classifier: Task<ClassifierOptions, Model> = {
  name: 'classifier',
  defaults: {
    preset: 'tiny-bert',
    epochs: { pretrained: 3, scratch: 10 },
    learningRate: { pretrained: 5e-4, scratch: 2e-2 },
    groupScale: { pretrained: 1, scratch: 0.03 },
    average: { pretrained: 0, scratch: 0.15 },
  },
  keys: ['task', 'layout', 'infilling', 'template', 'words', 'tokenizer', 'maxLength'],

  async prepare(options, common): Promise<Material<Model>> {
    const wanted = settingsOf(options);
    const { labels } = wanted.layout;
    const source = await sourceOf(common);
    const { tokenizer, folder } = await chooseTokenizer(NAME, options.tokenizer, source);
    const { seed, trains, quick } = common;
    const open = tokenFields(tokenizer);
    const make: () => Promise<Model> =
      wanted.infilling === null
        ? maker(source, 'sequence-classification', trains, { labels, open, seed })
        : maker(source, 'masked-lm', trains, { open, seed });
    const { vocabulary, maxLength: most } = await limits(make);
    checkVocabulary(NAME, tokenizer, vocabulary);
    const maxLength = options.maxLength ?? Math.min(256, most);
    check.integer(NAME, { maxLength }, 1, Number.isFinite(most) ? most : undefined);
    const settings: Settings = { ...wanted, maxLength };
    const [train, held] = await read(options, settings, quick);
    return {
      make,
      train: recordsOf(train, tokenizer, settings).records,
      exam: examOf(held, tokenizer, settings),
      unit: { one: 'one line of the file', many: 'examples' },
      notCovered: [
        'that lines of one person or one document belong together: somebody with many lines is hidden less',
        LEARNED_TOKENIZER,
      ],
      tokenizer: folder,
      settings: { ...settings, tokenizer: 'folder' },
      before: wanted.infilling !== null && source.kind === 'pretrained',
      baselines: () => ({ majority: majority(truthOf(held), labels.length) }),
    };
  },

  load: (folder, settings) =>
    settings.infilling === null
      ? fromPretrained(folder, { task: 'sequence-classification' })
      : fromPretrained(folder, { task: 'masked-lm' }),

  async exam(model, folder, data, settings): Promise<Exam<Model>> {
    const stored = settings as unknown as Settings;
    const tokenizer = await storedTokenizer(folder, settings);
    checkVocabulary('evaluate', tokenizer, model.backbone.vocabulary);
    return examOf(
      await readFile(isFolder(data) ? { folder: data, split: 'dev' } : { file: data }, stored),
      tokenizer,
      stored,
    );
  },
};

function settingsOf(options: ClassifierOptions): Omit<Settings, 'maxLength'> {
  const { task = 'sst2', layout, infilling: asWords = false, template, words } = options;
  check.oneOf(NAME, { task }, Object.keys(GLUE) as GlueTask[]);
  check.oneOf(NAME, { infilling: asWords }, [true, false]);
  if (layout !== undefined && options.task !== undefined)
    raise('ERR_INVALID_ARGUMENT', `${NAME}: a layout of your own and the task ${task} exclude each other.`);
  if (layout !== undefined) checkLayout(layout);
  if (!asWords && (template !== undefined || words !== undefined))
    raise('ERR_INVALID_ARGUMENT', `${NAME}: template and words belong to --infilling.`);
  const columns: ClassificationLayout =
    layout === undefined ? GLUE[task] : { ...layout, texts: layout.texts.map((one) => [one]), label: [layout.label] };
  if (asWords && layout !== undefined && (template === undefined || words === undefined))
    raise('ERR_INVALID_ARGUMENT', `${NAME}: infilling with a layout of your own needs a template and words.`);
  const prompt = { template: template ?? PROMPTS[task].template, words: words ?? PROMPTS[task].words };
  return { task: layout === undefined ? task : null, layout: columns, infilling: asWords ? prompt : null };
}

function checkLayout({ texts, labels }: NonNullable<ClassifierOptions['layout']>): void {
  check.integer(NAME, { textColumns: texts.length }, 1, 2);
  check.integer(NAME, { labels: labels.length }, 2);
}

async function read(
  options: ClassifierOptions,
  settings: Settings,
  quick: boolean,
): Promise<[ClassifiedTexts, ClassifiedTexts]> {
  const { data, test } = options;
  const folder = isFolder(data);
  if (!folder && test === undefined)
    raise('ERR_INVALID_ARGUMENT', `${NAME}: beside a file to train on, name held-out examples with --test FILE.`);
  const train = await readFile(folder ? { folder: data, split: 'train' } : { file: data }, settings);
  const held = await readFile(test === undefined ? { folder: data, split: 'dev' } : { file: test }, settings);
  if (held.examples.some(({ label }) => label === null))
    raise('ERR_DATA_FORMAT', `${test ?? data}: the held-out examples have no labels to compare with.`);
  const { records, heldOut } = DEFAULTS.quick;
  const first = (texts: ClassifiedTexts, count: number): ClassifiedTexts => ({
    ...texts,
    examples: quick ? texts.examples.slice(0, count) : texts.examples,
  });
  return [first(train, records), first(held, heldOut)];
}

type Place = { readonly folder: string; readonly split: 'train' | 'dev' } | { readonly file: string };

// Lines with missing fields occur in the official QQP, and are left out there.
async function readFile(place: Place, { task, layout }: Settings): Promise<ClassifiedTexts> {
  const malformed = task === 'qqp' ? 'skip' : 'refuse';
  if ('file' in place) return classifiedTexts(place.file, layout, { malformed });
  const split = task === 'mnli' && place.split === 'dev' ? 'dev_matched' : place.split;
  if (task === null)
    return raise(
      'ERR_INVALID_ARGUMENT',
      `${place.folder}: a layout of your own is for files: --data FILE --test FILE.`,
    );
  return glue(task, place.folder, { split, malformed });
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function recordsOf(
  texts: ClassifiedTexts,
  tokenizer: TextTokenizer,
  { maxLength, infilling: prompt }: Settings,
): { records: TokenDataset; wordIds: Int32Array | null } {
  if (prompt !== null) return infilling(texts, { ...prompt, tokenizer, maxLength });
  return { records: classificationRecords(texts, { tokenizer, maxLength }), wordIds: null };
}

function examOf(held: ClassifiedTexts, tokenizer: TextTokenizer, settings: Settings): Exam<Model> {
  const { records, wordIds } = recordsOf(held, tokenizer, settings);
  const classes = settings.layout.labels.length;
  return {
    records: records.length,
    measure: (model, tell) =>
      wordIds === null
        ? classesOf(model as SequenceClassifier, records, classes, tell)
        : wordsOf(model as MaskedLM, records, wordIds, tell),
  };
}

function truthOf({ examples }: ClassifiedTexts): number[] {
  return examples.map(({ label }) => label!);
}
