// `train table2text`: a causal language model writes what a table says, as Li et al. 2022 fine-tune GPT-2 on E2E and DART.

import * as check from '../../check';
import {
  dart,
  delexicaliseTable,
  delexicaliseText,
  e2e,
  type Meaning,
  meanings,
  relexicalise,
  type TablePair,
  tablePrompt,
  tableToText,
  type TextTokenizer,
  type TokenDataset,
} from '../../data';
import { raise } from '../../errors';
import { type CausalLM, fromPretrained, generate } from '../../models';
import type { Json } from '../../models/pretrained/config';
import { bleu, nist, rougeL } from '../metrics';
import type { OnEvent } from '../run/events';
import { type Exam, type Metrics, perplexityOf } from './exam';
import { limits, storedTokenizer } from './lm';
import type { Material, Task } from './material';
import { type CommonOptions, DEFAULTS } from './options';
import { nearestReferences } from './retrieval';
import { maker, sourceOf } from './source';
import { tableFiles } from './table-files';
import { checkVocabulary, chooseTokenizer, LEARNED_TOKENIZER, tokenFields } from './tokenizers';

export interface TableToTextOptions extends CommonOptions {
  /** E2E (CSV) or DART (JSON) to train on, or a folder with the official names; also gzipped. */
  readonly data: string;
  readonly test?: string;
  /** What ε hides: a table with one text (`pair`, default, as in the literature), or a table with all its texts (`mr`). */
  readonly unit?: 'pair' | 'mr';
  /** Default: the folder of the pretrained model. */
  readonly tokenizer?: string;
  /** Tokens kept of a table. Default 100. */
  readonly maxSource?: number;
  /** Tokens kept of a text. Default 100. */
  readonly maxTarget?: number;
  /**
   * Fields of E2E whose values become placeholders in table and text, and are put back into what is written: `['name', 'near']`. For small
   * models, which cannot spell a name that they have never read. Perplexity is then that of the texts with placeholders. Default: none.
   */
  readonly delexicalise?: readonly string[];
  /** Held-out tables that are written about and compared; perplexity is of all. Default: all. */
  readonly tables?: number;
  /** Beams of the texts that are compared. Default 1: greedy. */
  readonly beams?: number;
}

const NAME = 'train table2text';

interface Settings {
  readonly maxSource: number;
  readonly maxTarget: number;
  readonly tables: number | null;
  readonly beams: number;
  readonly delexicalise: readonly string[];
}

export const tablesToText: Task<TableToTextOptions, CausalLM> = {
  name: 'table2text',
  defaults: {
    preset: 'tiny-gpt2',
    epochs: { pretrained: 10, scratch: 15 },
    learningRate: { pretrained: 2e-3, scratch: 3e-3 },
    groupScale: { pretrained: 1, scratch: 1 },
    average: { pretrained: 0, scratch: 0 },
  },
  keys: ['unit', 'tokenizer', 'maxSource', 'maxTarget', 'delexicalise', 'tables', 'beams'],

  async prepare(options, common): Promise<Material<CausalLM>> {
    const { unit = 'pair' } = options;
    check.oneOf(NAME, { unit }, ['pair', 'mr']);
    const settings = settingsOf(options, common.quick);
    const source = await sourceOf(common);
    const { tokenizer, folder } = await chooseTokenizer(NAME, options.tokenizer, source);
    const make = maker(source, 'causal-lm', common.trains, { open: tokenFields(tokenizer), seed: common.seed });
    const { vocabulary, maxLength } = await limits(make);
    checkVocabulary(NAME, tokenizer, vocabulary);
    const files = tableFiles(options.data, options.test);
    const all = await readPairs(files.train);
    checkFields(settings.delexicalise, files.train, all);
    const pairs = common.quick ? all.slice(0, DEFAULTS.quick.records) : all;
    const others = await readPairs(files.test);
    const held = common.quick ? others.slice(0, DEFAULTS.quick.heldOut) : others;
    const { maxSource, maxTarget } = settings;
    const { delexicalise } = settings;
    const train = tableToText(pairs, { tokenizer, unit, maxSource, maxTarget, delexicalise, seed: common.seed });
    checkLength(train, maxLength);
    return {
      make,
      train,
      exam: examOf(held, tokenizer, settings, maxLength),
      unit:
        unit === 'pair'
          ? { one: 'one table with one text', many: 'pairs' }
          : { one: 'one table with all its texts', many: 'tables' },
      notCovered: [
        ...(unit === 'pair' ? ['that several texts are about one table: ε hides one of them, not the table'] : []),
        LEARNED_TOKENIZER,
      ],
      tokenizer: folder,
      settings: { ...settings, tokenizer: 'folder' },
      before: true,
      baselines: (tell) => retrievals(pairs, tablesOf(held, settings.tables), delexicalise, tell),
    };
  },

  load: (folder) => fromPretrained(folder, { task: 'causal-lm' }),

  async exam(model, folder, data, settings): Promise<Exam<CausalLM>> {
    const tokenizer = await storedTokenizer(folder, settings);
    const { vocabulary, maxLength } = model.backbone;
    checkVocabulary('evaluate', tokenizer, vocabulary);
    const file = tableFiles(data, undefined, 'evaluate').test;
    const stored = { ...settings, delexicalise: fieldsOf(settings) } as unknown as Settings;
    return examOf(await readPairs(file), tokenizer, stored, maxLength);
  },
};

function settingsOf(options: TableToTextOptions, quick: boolean): Settings {
  const { maxSource = 100, maxTarget = 100, tables, beams = 1, delexicalise = [] } = options;
  check.integer(NAME, { maxSource }, 1);
  check.integer(NAME, { maxTarget }, 2);
  check.integer(NAME, { beams }, 1);
  if (tables !== undefined) check.integer(NAME, { tables }, 1);
  return { maxSource, maxTarget, beams, delexicalise, tables: tables ?? (quick ? DEFAULTS.quick.tables : null) };
}

const readPairs = (file: string): Promise<TablePair[]> => (/\.json(\.gz)?$/.test(file) ? dart(file) : e2e(file));

/** Fields that a run's tables were stripped of; runs from before it was possible name none. */
export const fieldsOf = ({ delexicalise = [] }: Json): readonly string[] => delexicalise as readonly string[];

function checkFields(names: readonly string[], file: string, pairs: readonly TablePair[]): void {
  for (const name of names) {
    if (pairs.some(({ source }) => delexicaliseTable(source, [name]) !== source)) continue;
    raise('ERR_INVALID_ARGUMENT', `${NAME}: --delexicalise: no table of ${file} has a field ${JSON.stringify(name)}.`);
  }
}

function checkLength({ longest }: TokenDataset, most: number): void {
  if (longest <= most) return;
  raise(
    'ERR_INVALID_ARGUMENT',
    `${NAME}: a table with its text has ${longest} tokens, the model has positions for ${most}. Lower --max-source or --max-target.`,
  );
}

function tablesOf(pairs: readonly TablePair[], most: number | null): Meaning[] {
  return meanings(pairs).slice(0, most ?? Infinity);
}

function examOf(
  held: readonly TablePair[],
  tokenizer: TextTokenizer,
  settings: Settings,
  most: number,
): Exam<CausalLM> {
  const { maxSource, maxTarget, delexicalise, tables } = settings;
  const records = tableToText(held, { tokenizer, unit: 'pair', maxSource, maxTarget, delexicalise });
  checkLength(records, most);
  return {
    records: records.length,
    measure: (model, tell, brief = false) => ({
      perplexity: perplexityOf(model, records, tell),
      ...(brief ? {} : textsOf(model, tablesOf(held, tables), tokenizer, settings, tell)),
    }),
  };
}

const TOGETHER = 32; // texts that are written side by side

function textsOf(
  model: CausalLM,
  tables: readonly Meaning[],
  tokenizer: TextTokenizer,
  { maxSource, maxTarget, beams, delexicalise }: Settings,
  tell: OnEvent,
): Metrics {
  const texts: string[] = [];
  for (let at = 0; at < tables.length; at += TOGETHER) {
    const some = tables.slice(at, at + TOGETHER);
    const prompts = some.map(({ source }) => tablePrompt(source, { tokenizer, maxSource, delexicalise }));
    const room = model.backbone.maxLength - Math.max(...prompts.map(({ length }) => length));
    const eosTokenId = tokenizer.special.eos ?? tokenizer.special.sep;
    const options = { maxNewTokens: Math.min(maxTarget, room), doSample: false, numBeams: beams, eosTokenId };
    const written = generate(model, prompts, options).map((ids) => tokenizer.decode(ids).trim());
    texts.push(...written.map((text, k) => relexicalise(text, some[k]!.source, delexicalise)));
    tell({ kind: 'measuring', what: 'Writing about held-out tables', done: texts.length, of: tables.length });
  }
  return scores(texts, tables);
}

function scores(texts: readonly string[], tables: readonly Meaning[]): Metrics {
  const references = tables.map((table) => table.references);
  return {
    bleu: bleu(texts, references, { lowercase: true }).score,
    nist: nist(texts, references),
    rougeL: rougeL(texts, references).f1,
  };
}

// With placeholders the nearest table is one of the same fields, whatever its name: a yardstick of its own.
function retrievals(
  pairs: readonly TablePair[],
  tables: readonly Meaning[],
  names: readonly string[],
  tell: OnEvent,
): Record<string, Metrics> {
  const retrieval = scores(nearestReferences(meanings(pairs), sourcesOf(tables)), tables);
  tell({ kind: 'measuring', what: 'Nearest training table', done: tables.length, of: tables.length });
  if (names.length === 0) return { retrieval };
  const bare = pairs.map(({ source, reference }) => ({
    source: delexicaliseTable(source, names),
    reference: delexicaliseText(reference, source, names),
  }));
  const sources = sourcesOf(tables).map((source) => delexicaliseTable(source, names));
  const texts = nearestReferences(meanings(bare), sources);
  const filled = texts.map((text, k) => relexicalise(text, tables[k]!.source, names));
  return { retrieval, retrievalDelexicalised: scores(filled, tables) };
}

const sourcesOf = (tables: readonly Meaning[]): string[] => tables.map(({ source }) => source);
