// What cannot be trained is refused with a code before anything is written.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';

import { fineTune, type FineTuneOptions, type FineTuneTask } from '../../../../lib/tasks';
import type { ErrorCode } from '../../../../lib/errors';
import { byteTokenizer, config, path, pictures, sentiment, SHORT, tables, text, wordTokenizer } from './fixture';

jest.setTimeout(300_000);

const [sst2, e2e, photos, input] = [sentiment(), tables(), pictures(), text()];
const [words, bytes] = [wordTokenizer(), byteTokenizer()];
const bert = { ...SHORT, data: sst2, tokenizer: words, config: config('bert') };

function file(name: string, content: string): string {
  writeFileSync(path(name), content);
  return path(name);
}

type Refusal = {
  [T in FineTuneTask]: readonly [
    what: string,
    task: T,
    options: Partial<FineTuneOptions[T]>,
    code: ErrorCode,
    says: RegExp,
  ];
}[FineTuneTask];

const refusals: readonly Refusal[] = [
  ['no data', 'lm', {}, 'ERR_INVALID_ARGUMENT', /--data/],
  [
    'a data folder that is not there',
    'classifier',
    { ...bert, data: path('nowhere') },
    'ERR_DATA_FORMAT',
    /nowhere: there is no/,
  ],
  ['a data file that is not there', 'lm', { data: path('nowhere.txt') }, 'ERR_DATA_FORMAT', /nowhere\.txt/],
  ['a folder without train.tsv', 'classifier', { ...bert, data: photos }, 'ERR_DATA_FORMAT', /train\.tsv/],
  [
    'tables that are not there',
    'table2text',
    { data: path('gone'), tokenizer: bytes, test: path('gone') },
    'ERR_DATA_FORMAT',
    /gone/,
  ],
  ['a folder without tables', 'table2text', { data: sst2, tokenizer: bytes }, 'ERR_DATA_FORMAT', /trainset\.csv/],
  [
    'images that are not there',
    'images',
    { data: path('nowhere'), test: path('nowhere') },
    'ERR_DATA_FORMAT',
    /nowhere/,
  ],
  ['a folder without test images', 'images', { data: `${photos}/train` }, 'ERR_INVALID_ARGUMENT', /--test/],
  ['a rate that rises to the end', 'lm', { data: input, warmup: 1 }, 'ERR_INVALID_ARGUMENT', /from 0 to below 1/],
  ['a rate that rises for less than no time', 'lm', { data: input, warmup: -0.1 }, 'ERR_INVALID_ARGUMENT', /warmup/],
  ['an empty text', 'lm', { data: file('empty.txt', ' \n') }, 'ERR_DATA_FORMAT', /empty\.txt/],
  [
    'a text shorter than a block',
    'lm',
    { data: file('short.txt', 'ab'.repeat(30)), block: 64 },
    'ERR_INVALID_ARGUMENT',
    /do not fill/,
  ],
  [
    'a label out of range',
    'classifier',
    { ...bert, data: file('odd.tsv', 'label\tsentence\n2\ta film\n'), test: `${sst2}/dev.tsv` },
    'ERR_DATA_FORMAT',
    /odd\.tsv:2.*a label \(0, 1\)/,
  ],
  [
    'an empty example',
    'classifier',
    { ...bert, data: file('hollow.tsv', 'label\tsentence\n1\t \n'), test: `${sst2}/dev.tsv` },
    'ERR_DATA_FORMAT',
    /hollow\.tsv:2/,
  ],
  [
    'held-out examples without labels',
    'classifier',
    { ...bert, test: file('blind.tsv', 'sentence\na film\n') },
    'ERR_DATA_FORMAT',
    /no labels/,
  ],
  [
    'an unknown model_type',
    'lm',
    { data: input, config: config('gpt2', { model_type: 'mamba' }) },
    'ERR_MODEL_CONFIG',
    /"mamba".*gpt2/,
  ],
  ['a model that does other things', 'lm', { data: input, config: config('vit') }, 'ERR_INVALID_ARGUMENT', /causal-lm/],
  ['a model that is not there', 'lm', { data: input, model: 'no/model' }, 'ERR_MODEL_NOT_FOUND', /no\/model/],
  ['a preset that is not there', 'lm', { data: input, config: 'tiny-mamba' }, 'ERR_INVALID_ARGUMENT', /tiny-gpt2/],
  [
    'model and configuration at once',
    'lm',
    { data: input, model: 'gpt2', config: 'tiny-gpt2' },
    'ERR_INVALID_ARGUMENT',
    /--config/,
  ],
  [
    'a tokenizer larger than the table',
    'lm',
    { data: input, config: config('gpt2', { vocab_size: 100 }) },
    'ERR_VOCABULARY',
    /256 tokens.*100/,
  ],
  ['a tokenizer folder without one', 'classifier', { ...bert, tokenizer: sst2 }, 'ERR_DATA_FORMAT', /vocab\.txt/],
  ['no tokenizer', 'classifier', { data: sst2 }, 'ERR_INVALID_ARGUMENT', /--tokenizer/],
  [
    'blocks beyond the position table',
    'lm',
    { data: input, config: config('gpt2'), block: 65 },
    'ERR_INVALID_ARGUMENT',
    /at most 64/,
  ],
  [
    'tables beyond the position table',
    'table2text',
    { data: e2e, tokenizer: bytes, config: config('gpt2') },
    'ERR_INVALID_ARGUMENT',
    /--max-source/,
  ],
  [
    'examples beyond the position table',
    'classifier',
    { ...bert, maxLength: 33 },
    'ERR_INVALID_ARGUMENT',
    /from 1 to 32/,
  ],
  [
    'images of another size',
    'images',
    { data: photos, config: config('vit', { image_size: 32 }) },
    'ERR_INVALID_ARGUMENT',
    /3, 32, 32.*3, 8, 8/,
  ],
  [
    'low-rank additions and biases at once',
    'lm',
    { data: input, lora: 2, biasesOnly: true },
    'ERR_INVALID_ARGUMENT',
    /exclude/,
  ],
  [
    'a scale beside words that are frozen',
    'classifier',
    { ...bert, headOnly: true, groupScale: 0.5 },
    'ERR_INVALID_ARGUMENT',
    /word table is frozen/,
  ],
  [
    'a scale beside words where there are none',
    'images',
    { data: photos, groupScale: 0.5 },
    'ERR_INVALID_ARGUMENT',
    /reads no words/,
  ],
  ['no scale at all', 'lm', { data: input, groupScale: 0 }, 'ERR_INVALID_ARGUMENT', /groupScale/],
  ['an average that never moves', 'lm', { data: input, average: 1 }, 'ERR_INVALID_ARGUMENT', /average/],
  ['a tied head alone', 'lm', { data: input, headOnly: true }, 'ERR_INVALID_ARGUMENT', /word table/],
  ['a batch larger than the data', 'lm', { data: input, block: 64, batchSize: 1e6 }, 'ERR_INVALID_ARGUMENT', /batch/i],
  ['an epsilon of nothing', 'lm', { data: input, epsilon: 0 }, 'ERR_INVALID_ARGUMENT', /epsilon/],
  ['an option that nothing reads', 'lm', { data: input, dleta: 1e-5 } as never, 'ERR_INVALID_ARGUMENT', /dleta/],
  ['words without infilling', 'classifier', { ...bert, words: ['a', 'b'] }, 'ERR_INVALID_ARGUMENT', /--infilling/],
  [
    'infilling by a tokenizer without a mask',
    'classifier',
    { ...bert, tokenizer: bytes, infilling: true },
    'ERR_INVALID_ARGUMENT',
    /mask/,
  ],
];

test.each(refusals)('%s: train %s is refused', async (_what, task, options, code, says) => {
  const out = path('never');
  const refused = fineTune(task, options as never, { out });
  await expect(refused).rejects.toMatchObject({ code, message: expect.stringMatching(says) });
  expect(existsSync(out)).toBe(false);
});

test('a folder that holds anything is never written to', async () => {
  mkdirSync(path('taken'));
  file('taken/notes.txt', 'mine');
  await expect(fineTune('lm', { data: input }, { out: path('taken') })).rejects.toMatchObject({
    code: 'ERR_RUN_FOLDER',
  });
});
