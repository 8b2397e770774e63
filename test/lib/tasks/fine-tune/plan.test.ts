// The memory plan: counted like the model that it is about, and made without touching memory for it.

import { fromConfig } from '../../../../lib/models';
import { planMemory } from '../../../../lib/tasks';
import { config, CONFIGS, path } from './fixture';

const GPT2_XL = { model_type: 'gpt2', n_embd: 1600, n_layer: 48, n_head: 25 };

test('counts the parameters of the model that would be trained, 20 bytes each and the activations', async () => {
  const plan = await planMemory({ config: config('bert', { vocab_size: 100 }), task: 'classifier', length: 32 });
  const model = fromConfig({ ...CONFIGS.bert, vocab_size: 100 }, { task: 'sequence-classification' });
  const parameters = model.parameters().reduce((sum, { numel }) => sum + numel, 0);
  const { bytesPerRow } = model.packing();
  model.dispose();
  expect(plan.full).toMatchObject({ trained: parameters, frozen: 0 });
  expect(plan.full.total).toBe(20 * parameters + plan.physicalBatch * plan.bytesPerRecord);
  expect(plan.bytesPerRecord).toBe(32 * bytesPerRow);
});

test('a model of 1.5 billion parameters is planned in little memory, and LoRA saves most of it', async () => {
  const before = process.memoryUsage().rss;
  const plan = await planMemory({
    config: config('gpt2', { ...GPT2_XL, n_positions: 1024 }),
    batchSize: 1000,
    length: 100,
  });
  expect(process.memoryUsage().rss - before).toBeLessThan(1e9);
  expect(plan.full.trained).toBe(1_557_611_200); // as Hugging Face counts gpt2-xl
  expect(plan.full.gradients + plan.full.optimizer).toBe(16 * plan.full.trained);
  expect(plan.lora.frozen).toBe(plan.full.trained);
  expect(plan.lora.trained).toBe(48 * 8 * (1600 + 4800));
  expect(plan.lora.total).toBeLessThan(plan.full.total / 3);
  expect(plan.perSampleGradients).toBe(4 * plan.full.trained * plan.physicalBatch);
});

test('more memory makes physical batches larger, up to the logical one, and never smaller than a record', async () => {
  const sizes = [];
  for (const memory of [1e-6, 1, 64, 1e6]) {
    const { physicalBatch, physicalBatches } = await planMemory({ config: 'tiny-gpt2', memory, batchSize: 100 });
    expect(physicalBatch * physicalBatches).toBeGreaterThanOrEqual(100);
    sizes.push(physicalBatch);
  }
  expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
  expect([sizes[0], sizes.at(-1)]).toEqual([1, 100]);
});

test('images have rows of their own, and what is not there is refused', async () => {
  const { task, rowsPerRecord } = await planMemory({ config: config('vit', { image_size: 32 }) });
  expect([task, rowsPerRecord]).toEqual(['images', 65]);
  const refused = async (options: Parameters<typeof planMemory>[0]): Promise<unknown> =>
    planMemory(options).catch((error: unknown) => (error as { code: string }).code);
  expect(await refused({})).toBe('ERR_INVALID_ARGUMENT');
  expect(await refused({ model: path('nowhere') })).toBe('ERR_MODEL_NOT_FOUND');
  expect(await refused({ config: config('gpt2', { model_type: 'mamba' }) })).toBe('ERR_MODEL_CONFIG');
  expect(await refused({ config: 'tiny-gpt2', length: 257 })).toBe('ERR_INVALID_ARGUMENT');
  expect(await refused({ config: 'tiny-vit', task: 'lm' })).toBe('ERR_INVALID_ARGUMENT');
  expect(await refused({ config: 'tiny-gpt2', lora: 1e7 })).toBe('ERR_INVALID_ARGUMENT');
});
