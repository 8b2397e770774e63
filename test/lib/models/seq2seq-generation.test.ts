// Generation from one text to another: token by token what Python's transformers gives, with what was read kept.

import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { seq2seqBatch } from '../../../lib/data';
import { type ConditionalGeneration, fromPretrained, generate, type GenerateOptions } from '../../../lib/models';
import { TargetDecoder } from '../../../lib/models/generation/target-decoder';
import { noGrad, setNumThreads, tidy } from '../../../lib/tensor';
import { settledMemory } from '../../fixtures/collect';
import { thrown } from '../data/support';
import { folderOf } from './pretrained/fixtures';
import { expectedPairsOf, PAIR_MODELS } from './pretrained/seq2seq-cases';
import { paddedPrompts } from './prompts';

beforeAll(() => setNumThreads(1));

const load = async (from: string): Promise<ConditionalGeneration> =>
  (await fromPretrained(from, { task: 'conditional-generation', dtype: 'float64' })).eval();

/** Options as Python calls them, whose lengths count the start token. */
function spelt({ min_length: least, max_length: most, ...rest }: Readonly<Record<string, unknown>>): GenerateOptions {
  const named = Object.entries(rest).map(([name, value]) => [
    name.replace(/_(\w)/g, (_, c: string) => c.toUpperCase()),
    value,
  ]);
  return {
    ...(Object.fromEntries(named) as GenerateOptions),
    ...(least === undefined ? {} : { minNewTokens: Number(least) - 1 }),
    ...(most === undefined ? {} : { maxNewTokens: Number(most) - 1 }),
  };
}

describe.each(PAIR_MODELS)('%s', (name) => {
  const { prompts, greedy, modes } = expectedPairsOf(name).generated;
  const limits = { maxNewTokens: 8, eosTokenId: 2, forcedEosTokenId: null };
  let model: ConditionalGeneration;
  beforeAll(async () => (model = await load(folderOf(name))));
  afterAll(() => model.dispose());

  test('greedy decoding gives the tokens of transformers, sources of different lengths side by side', () => {
    expect(generate(model, prompts, limits)).toEqual(greedy);
  });

  test('padding changes nothing, on whatever side it stands', () => {
    for (const side of ['left', 'right'] as const)
      expect(generate(model, paddedPrompts(prompts, side), limits)).toEqual(greedy);
  });

  test.each(modes)('the tokens are those of transformers: $options', ({ options, tokens }) => {
    expect(generate(model, prompts, { ...limits, ...spelt(options) })).toEqual(tokens);
  });

  test('logits from what is kept are those of both whole texts, for beams that are dropped, doubled and continued', () => {
    using decoder = new TargetDecoder(
      model,
      prompts.map((inputIds) => ({ inputIds })),
      { start: model.frame.start, maxNewTokens: 5 },
    );
    const moves: [number[], number[]][] = [
      [
        [0, 1, 2],
        [3, 4, 5],
      ],
      [
        [2, 0, 2, 1],
        [11, 12, 13, 14],
      ],
      [
        [1, 3],
        [15, 16],
      ],
    ];
    let held = prompts.map((inputIds) => ({ inputIds, written: [] as number[] }));
    const check = (): void =>
      held.forEach(({ inputIds, written }, k) => {
        const whole = tidy(() =>
          noGrad(() =>
            model
              .logits(seq2seqBatch([{ inputIds, labels: [...written, 3] }]))
              .narrow(0, written.length, 1)
              .toTypedArray(),
          ),
        );
        Array.from(whole as Float64Array).forEach((value, i) => expect(decoder.logits[k]![i]).toBeCloseTo(value, 10));
      });
    check();
    for (const [chosen, tokens] of moves) {
      decoder.advance(chosen, tokens);
      held = chosen.map((text, k) => ({ ...held[text]!, written: [...held[text]!.written, tokens[k]!] }));
      check();
    }
  });
});

test('generating leaves no tensor behind and the mode of the model as it was', async () => {
  const model = (await load(folderOf('t5-tied'))).train();
  generate(model, [[3], [4, 5]], { maxNewTokens: 3 });
  const before = settledMemory().tensors;
  generate(model, [[3], [4, 5]], { maxNewTokens: 3, numBeams: 2 });
  expect(() => generate(model, [[3], [99]])).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  expect(settledMemory().tensors).toBe(before);
  expect(model.training).toBe(true);
  model.dispose();
});

test('generation_config.json gives start, forced tokens and lengths; without one config.json says what ends a text', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'phantomgrad-'));
  try {
    await cp(folderOf('bart-scaled'), folder, { recursive: true });
    const { prompts, modes } = expectedPairsOf('bart-scaled').generated;
    const plain = await load(folder);
    generate(plain, prompts, { maxNewTokens: 4 }).forEach((text) => expect(text.at(-1)).toBe(2));
    const { options, tokens } = modes.at(7)!;
    expect(options).toMatchObject({ min_length: 5, max_length: 7 });
    await writeFile(
      join(folder, 'generation_config.json'),
      JSON.stringify({ ...options, decoder_start_token_id: 2, eos_token_id: 2, forced_eos_token_id: null }),
    );
    const told = await load(folder);
    expect(generate(told, prompts)).toEqual(tokens);
    for (const own of [plain, told]) own.dispose();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each<[string, number[][], GenerateOptions, string]>([
  ['an empty source', [[]], { maxNewTokens: 3 }, 'empty'],
  ['an unknown token', [[23]], { maxNewTokens: 3 }, '23 is no token'],
  ['more tokens than positions', [[3]], { maxNewTokens: 13 }, '12 positions'],
  ['a forced token beyond the vocabulary', [[3]], { maxNewTokens: 3, forcedBosTokenId: 23 }, 'forcedBosTokenId'],
])('%s is refused', async (_what, prompts, options, message) => {
  const model = await load(folderOf('bart-relu'));
  expect(await thrown(() => generate(model, prompts, options))).toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    message: expect.stringContaining(message) as string,
  });
  expect(generate(model, [[3, 4]], { maxNewTokens: 12 })[0]!.length).toBeLessThanOrEqual(12);
  model.dispose();
});

test('a model that continues its prompt has no first token to be forced', async () => {
  const model = await fromPretrained(folderOf('gpt2-lm'), { task: 'causal-lm' });
  expect(await thrown(() => generate(model, [[3]], { forcedBosTokenId: 4 }))).toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
  });
  const [text] = generate(model, [[3, 4]], { maxNewTokens: 5, minNewTokens: 5, forcedEosTokenId: 2, eosTokenId: 2 });
  expect(text).toHaveLength(5);
  expect(text!.indexOf(2)).toBe(4);
  model.dispose();
});
