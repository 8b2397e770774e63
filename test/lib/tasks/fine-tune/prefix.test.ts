// A job that trains a prefix: the model stays as it is, the prefix goes with it, and whoever stops it goes on.

import { join } from 'node:path';

import { fromPretrained } from '../../../../lib/models';
import { evaluateFineTuned, fineTune, write } from '../../../../lib/tasks';
import { byteTokenizer, config, entries, json, path, sentiment, SHORT, tables, text, wordTokenizer } from './fixture';

jest.setTimeout(300_000);

test('train table2text with a prefix: stopped, gone on with, measured again and asked for text', async () => {
  const out = path('prefixed');
  const model = { config: config('gpt2', { n_positions: 128 }), tokenizer: byteTokenizer() };
  const options = { ...SHORT, ...model, data: tables(), prefix: 3, prefixProjection: 5, tables: 2 } as const;
  const controller = new AbortController();
  const stopped = await fineTune('table2text', options, {
    out,
    signal: controller.signal,
    onEvent: ({ kind }) => kind === 'step' && controller.abort(),
  });
  expect(stopped.interrupted).toBe(true);
  const changed = fineTune('table2text', { prefix: 2 } as never, { out, resume: true });
  await expect(changed).rejects.toMatchObject({ code: 'ERR_CHECKPOINT_MISMATCH' });
  const parameters: number[] = [];
  const ended = await fineTune('table2text', {} as never, {
    out,
    resume: true,
    onEvent: (event) => event.kind === 'plan' && parameters.push(event.parameters),
  });
  // 3 rows of 16 keys, a network to 5 and from 5 to the keys and values of one layer.
  expect(parameters).toEqual([3 * 16 + (16 * 5 + 5) + (5 * 32 + 32)]);
  expect(ended).toMatchObject({ interrupted: false, privacy: { lostSteps: 0 } });
  expect(entries(out)).toEqual(expect.arrayContaining(['model.safetensors', 'prefix', 'privacy.json']));
  expect(entries(join(out, 'prefix'))).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
  expect(json(out, 'training.json')).toMatchObject({ training: { trains: { prefix: 3, projection: 5 } } });
  const trained = await fromPretrained(out, { task: 'causal-lm' });
  expect(trained.backbone.prefix).toMatchObject({ length: 3, projection: null });
  trained.dispose();
  const [row] = (await evaluateFineTuned(out, options.data)).rows;
  expect(row!.metrics.perplexity).toBeCloseTo(ended.rows[0]!.metrics.perplexity!, 5);
  const [written] = await write(out, ['name[The Mill], eatType[pub]'], { maxNewTokens: 3 });
  expect(written!.text).toEqual(expect.any(String));
});

test('a prefix is refused where no text is written, beside other ways to train a part, and when nothing is left for the text', async () => {
  const refused = { code: 'ERR_INVALID_ARGUMENT' };
  const classifier = { ...SHORT, data: sentiment(), config: config('bert'), tokenizer: wordTokenizer(), prefix: 2 };
  await expect(fineTune('classifier', classifier)).rejects.toMatchObject(refused);
  const lm = { ...SHORT, data: text(), config: config('gpt2') };
  await expect(fineTune('lm', { ...lm, prefix: 2, lora: 2 })).rejects.toMatchObject(refused);
  await expect(fineTune('lm', { ...lm, prefixProjection: 2 })).rejects.toMatchObject(refused);
  await expect(fineTune('lm', { ...lm, prefix: 64 })).rejects.toMatchObject(refused);
  await expect(fineTune('lm', { ...lm, prefix: 8, block: 60 })).rejects.toMatchObject(refused);
});
