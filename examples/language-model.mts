// A GPT-2 trained privately from scratch on a text: what one block of it says is hidden. Then it writes.
import { data, metrics, models, noGrad, optim, privacy } from 'phantomgrad';

const bytes = new data.ByteTokenizer(); // a vocabulary that says nothing about the text
const text = await data.readText('input.txt');
const cut = Math.floor(0.9 * text.length);
const train = data.textBlocks(text.slice(0, cut), { tokenizer: bytes, length: 64 });
const heldOut = data.textBlocks(text.slice(cut), { tokenizer: bytes, length: 64 });
const model = models.fromConfig(
  { model_type: 'gpt2', vocab_size: bytes.vocabularySize, n_positions: 128, n_embd: 64, n_layer: 2, n_head: 2 },
  { task: 'causal-lm' },
);
const engine = new privacy.PrivacyEngine(model, {
  records: train.length,
  epochs: 30,
  target: { epsilon: 8, delta: 1e-5 },
  sampler: privacy.poisson({ batchSize: 512 }),
  clip: privacy.normalize({ maxGradNorm: 1 }),
});
const optimizer = engine.attach(optim.adam(model.trainableParameters(), { lr: 3e-3 }));
for (const batch of engine.batches(train)) optimizer.step({ loss: model.loss(batch) }); // one loss entry a block
engine.detach();

const all = heldOut.pack(
  Int32Array.from({ length: heldOut.length }, (_, block) => block),
  { rowBudget: 4096 },
);
const losses = all.flatMap(
  (batch) => noGrad(() => model.eval().loss(batch, { reduction: 'sum' })).toArray() as number[],
);
const tokens = losses.map(() => 63); // a block's first byte is predicted by nothing
console.log(engine.privacySpent(), 'perplexity a byte:', metrics.perplexity(losses, tokens));
const [written] = models.generate(model, [bytes.encode('The ')], {
  maxNewTokens: 80,
  doSample: true,
  topK: 0,
  seed: 1,
});
console.log(bytes.decode(written ?? []));
