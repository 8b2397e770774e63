// A real pretrained model: converted from llama2.c's layout, it tells its documented story token by token.

import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { tokenBatch } from '../../../../lib/data';
import { fromPretrained, generate, saveWeights } from '../../../../lib/models';
import { fromTypedArray, noGrad, setNumThreads, type Tensor, tidy } from '../../../../lib/tensor';

const SOURCE = join(__dirname, '../../../../../shared/data/stories260k');
const STORY =
  'Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball.';
const BEGIN = 1;

/** Names and shapes as Hugging Face has them; llama2.c stores all layers of a kind together, and its rotary pairs side by side. */
async function convert(folder: string): Promise<void> {
  const file = readFileSync(join(SOURCE, 'stories260K.bin'));
  const [dim, inner, layers, heads, keyHeads, vocabulary, length] = Array.from({ length: 7 }, (_, k) =>
    file.readInt32LE(4 * k),
  ) as [number, number, number, number, number, number, number];
  let at = 28;
  const take = (...shape: number[]): Tensor => {
    const count = shape.reduce((a, b) => a * b, 1);
    const values = Float32Array.from({ length: count }, (_, k) => file.readFloatLE(at + 4 * k));
    at += 4 * count;
    return fromTypedArray(values, shape);
  };
  const keys = (dim / heads) * keyHeads;
  const halves = (weight: Tensor, count: number): Tensor =>
    weight.view([count, -1, 2, dim]).transpose(1, 2).reshape([-1, dim]);
  const tensors = new Map<string, Tensor>([['model.embed_tokens.weight', take(vocabulary, dim)]]);
  const each = (name: string, shape: number[], change = (weight: Tensor) => weight): void => {
    for (let layer = 0; layer < layers; layer++)
      tensors.set(`model.layers.${layer}.${name}.weight`, change(take(...shape)));
  };
  each('input_layernorm', [dim]);
  each('self_attn.q_proj', [dim, dim], (weight) => halves(weight, heads));
  each('self_attn.k_proj', [keys, dim], (weight) => halves(weight, keyHeads));
  each('self_attn.v_proj', [keys, dim]);
  each('self_attn.o_proj', [dim, dim]);
  each('post_attention_layernorm', [dim]);
  each('mlp.gate_proj', [inner, dim]);
  each('mlp.down_proj', [dim, inner]);
  each('mlp.up_proj', [inner, dim]);
  tensors.set('model.norm.weight', take(dim));
  at += 4 * length * (dim / heads); // tables of the rotary angles
  expect(at).toBe(file.length);
  const config = {
    model_type: 'llama',
    vocab_size: vocabulary,
    hidden_size: dim,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyHeads,
    max_position_embeddings: length,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
    bos_token_id: BEGIN,
    eos_token_id: 2,
  };
  await saveWeights(join(folder, 'model.safetensors'), tensors);
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
}

/** The pieces of llama2.c's tokenizer file: a score, a length and the bytes of each. */
function pieces(): string[] {
  const file = readFileSync(join(SOURCE, 'tok512.bin'));
  const found: string[] = [];
  for (let at = 4; at < file.length;) {
    const length = file.readInt32LE(at + 4);
    found.push(file.toString('utf8', at + 8, at + 8 + length));
    at += 8 + length;
  }
  return found;
}

// A model this small loses more to waiting for a second thread than it gains.
beforeAll(() => setNumThreads(1));

const present = existsSync(SOURCE);
if (!present) console.warn(`Skipped, 0 of 1 cases ran: ${SOURCE} is absent.`);

(present ? test : test.skip)(
  'the model of 260,032 parameters tells its documented story, and finds it likely',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'phantomgrad-'));
    try {
      await convert(folder);
      const model = (await fromPretrained(folder, { task: 'causal-lm' })).eval();
      expect(model.parameters().reduce((sum, { numel }) => sum + numel, 0)).toBe(260_032);
      const [story] = generate(model, [[BEGIN]], { maxNewTokens: 60 });
      const table = pieces();
      const text = story!.map((token) => table[token]).join('');
      expect(text.trimStart().slice(0, STORY.length)).toBe(STORY);

      const inputIds = [BEGIN, ...story!];
      const batch = tokenBatch([{ inputIds, labels: inputIds }]);
      const perToken = tidy(() => noGrad(() => model.loss(batch).item()));
      expect(perToken).toBeLessThan(1); // a guess among 512 pieces costs log 512 = 6.2
      model.dispose();
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);
