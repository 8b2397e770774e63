// Generation: token by token what Python's transformers gives, the same with and without a cache, and what sampling promises.

import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { tokenBatch } from '../../../lib/data';
import { type CausalLM, fromPretrained, generate, type GenerateOptions } from '../../../lib/models';
import { Decoder } from '../../../lib/models/generation/decoder';
import { drawToken } from '../../../lib/models/generation/scores';
import { noGrad, setNumThreads, tidy } from '../../../lib/tensor';
import { settledMemory } from '../../fixtures/collect';
import { expectedOf, folderOf, LANGUAGE_MODELS } from './pretrained/fixtures';
import { paddedPrompts } from './prompts';

// Models this small lose more to waiting for a second thread than they gain.
beforeAll(() => setNumThreads(1));

const load = async (name: string): Promise<CausalLM> =>
  (await fromPretrained(folderOf(name), { task: 'causal-lm', dtype: 'float64' })).eval();
const spelt = (options: Readonly<Record<string, unknown>>): GenerateOptions =>
  Object.fromEntries(
    Object.entries(options).map(([name, value]) => [name.replace(/_(\w)/g, (_, c: string) => c.toUpperCase()), value]),
  );

describe.each(LANGUAGE_MODELS)('%s', (name) => {
  const { prompts, greedy, beams, repeats } = expectedOf(name).generated!;
  const limits = { maxNewTokens: 8, eosTokenId: 2 };
  let model: CausalLM;
  beforeAll(async () => (model = await load(name)));
  afterAll(() => model.dispose());

  test('greedy decoding gives the tokens of transformers, prompts of different lengths side by side', () => {
    expect(generate(model, prompts, limits)).toEqual(greedy);
  });

  test('padding changes nothing, on whatever side it stands', () => {
    for (const side of ['left', 'right'] as const)
      expect(generate(model, paddedPrompts(prompts, side), limits)).toEqual(greedy);
  });

  test.each(beams)('beam search gives the tokens of transformers: $options', ({ options, tokens }) => {
    expect(generate(model, prompts, { ...limits, ...spelt(options) })).toEqual(tokens);
  });

  test('repeats are discouraged as in transformers', () => {
    expect(generate(model, prompts, { ...limits, ...spelt(repeats.options) })).toEqual(repeats.tokens);
  });

  test('logits from kept keys and values are those of the whole text', () => {
    const texts = [
      [3, 4],
      [5, 6, 7],
      [8, 9, 10],
    ];
    using decoder = new Decoder(
      model,
      texts.map((inputIds) => ({ inputIds })),
      4,
    );
    // Texts are dropped, doubled and continued, as beams are.
    const moves: [number[], number[]][] = [
      [
        [2, 0, 2],
        [11, 12, 13],
      ],
      [
        [1, 1],
        [14, 15],
      ],
    ];
    let held = texts;
    const check = (): void =>
      held.forEach((inputIds, k) => {
        const whole = tidy(() =>
          noGrad(() =>
            model
              .logits(tokenBatch([{ inputIds }]))
              .narrow(0, inputIds.length - 1, 1)
              .toTypedArray(),
          ),
        );
        Array.from(whole as Float64Array).forEach((value, i) => expect(decoder.logits[k]![i]).toBeCloseTo(value, 10));
      });
    check();
    for (const [chosen, tokens] of moves) {
      decoder.advance(chosen, tokens);
      held = chosen.map((text, k) => [...held[text]!, tokens[k]!]);
      check();
    }
  });
});

test('a seed gives the same text again, whatever other prompts there are, and another seed another text', async () => {
  const model = await load('llama-grouped');
  const draw = (prompts: number[][], seed: number): number[][] =>
    generate(model, prompts, { doSample: true, maxNewTokens: 10, seed, eosTokenId: null, temperature: 2 });
  const first = draw([[3, 4], [5]], 7);
  expect(draw([[3, 4], [5]], 7)).toEqual(first);
  expect(draw([[3, 4]], 7)[0]).toEqual(first[0]);
  expect(draw([[3, 4], [5]], 8)).not.toEqual(first);
  expect(
    draw(
      [
        [3, 4],
        [3, 4],
      ],
      7,
    )[1],
  ).not.toEqual(first[0]);
  model.dispose();
});

test('tokens are drawn as often as they are likely, inside the likeliest k and the nucleus', () => {
  const shares = [0.1, 0.4, 0.05, 0.25, 0.2];
  const logits = Float64Array.from(shares, (share) => 3 + 2 * Math.log(share));
  const counts = (options: { topK: number; topP: number }): number[] => {
    const drawn = shares.map(() => 0);
    for (let k = 0; k < 1000; k++) drawn[drawToken(logits, { temperature: 2, ...options }, (k + 0.5) / 1000)]! += 1;
    return drawn;
  };
  expect(counts({ topK: 0, topP: 1 })).toEqual([100, 400, 50, 250, 200]);
  expect(counts({ topK: 2, topP: 1 }).map((n) => Math.round((n * 0.65) / 10))).toEqual([0, 40, 0, 25, 0]);
  expect(counts({ topK: 0, topP: 0.8 }).map((n) => Math.round((n * 0.85) / 10))).toEqual([0, 40, 0, 25, 20]);
  expect(counts({ topK: 0, topP: 1e-9 })).toEqual([0, 1000, 0, 0, 0]);
});

test('generating leaves no tensor behind and the mode of the model as it was', async () => {
  const model = (await load('gpt2-lm')).train();
  generate(model, [[3], [4, 5]], { maxNewTokens: 3 });
  const before = settledMemory().tensors;
  generate(model, [[3], [4, 5]], { maxNewTokens: 3, numBeams: 2 });
  expect(settledMemory().tensors).toBe(before);
  expect(model.training).toBe(true);
  model.dispose();
});

test('generation_config.json gives the defaults, is saved with the model, and is refused where it is not understood', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'phantomgrad-'));
  try {
    await cp(folderOf('llama-tied'), folder, { recursive: true });
    const say = (fields: object): Promise<void> =>
      writeFile(join(folder, 'generation_config.json'), JSON.stringify(fields));
    const open = (from: string): Promise<CausalLM> => fromPretrained(from, { task: 'causal-lm', dtype: 'float64' });
    const { prompts, beams } = expectedOf('llama-tied').generated!;
    const { options, tokens } = beams[0]!;
    await say({ ...options, max_new_tokens: 8, eos_token_id: [2], num_return_sequences: 1, transformers_version: '5' });
    const model = await open(folder);
    expect(generate(model, prompts)).toEqual(tokens);
    expect(generate(model, prompts, { maxNewTokens: 1 }).map(({ length }) => length)).toEqual(prompts.map(() => 1));
    await model.savePretrained(join(folder, 'saved'));
    const again = await open(join(folder, 'saved'));
    expect(generate(again, prompts)).toEqual(tokens);
    await say({ penalty_alpha: 0.6 });
    const strange = await open(folder);
    expect(() => generate(strange, prompts)).toThrow(
      expect.objectContaining({ code: 'ERR_MODEL_CONFIG', message: expect.stringContaining('penalty_alpha') }),
    );
    for (const own of [model, again, strange]) own.dispose();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each<[string, number[][], Record<string, unknown>, string]>([
  ['an empty prompt', [[]], {}, 'empty'],
  ['an unknown token', [[23]], { maxNewTokens: 3 }, '23 is no token'],
  ['more tokens than positions', [[3, 4]], { maxNewTokens: 16 }, '16 positions'],
  ['an unknown option', [[3]], { topk: 3 }, 'topk'],
  ['no temperature', [[3]], { doSample: true, temperature: 0 }, 'temperature'],
  ['beams that are drawn', [[3]], { doSample: true, numBeams: 2 }, 'exclude'],
  ['an end token beyond the vocabulary', [[3]], { eosTokenId: 23 }, 'eosTokenId'],
])('%s is refused', async (_what, prompts, options, message) => {
  const model = await load('gpt2-lm');
  expect(() => generate(model, prompts, options)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining(message) }),
  );
  expect(generate(model, [[3, 4]], { maxNewTokens: 15 })[0]!.length).toBeLessThanOrEqual(15);
  model.dispose();
});
