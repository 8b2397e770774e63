// Devices by name: what there is, what is refused and with which code, before anything else happens.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { beside, checkDevice, cudaDeviceCount, memory, ones, tensor, torch, zeros } from '../../../lib/tensor';
import { Linear } from '../../../lib/nn';
import { abadi, poisson, PrivacyEngine } from '../../../lib/privacy';
import { sgd } from '../../../lib/optim';
import { trainRecommender } from '../../../lib/tasks';
import { temporaryFolder } from '../native/places';

const coded = (code: string): Error => expect.objectContaining({ code }) as Error;
const gpus = cudaDeviceCount();

test('a name that is no device is refused', () => {
  for (const name of ['gpu', 'cpu:0', 'cuda:', 'cuda:-1', 'meta', '']) {
    expect(() => checkDevice('test', name)).toThrow(coded('ERR_INVALID_ARGUMENT'));
  }
  expect(() => checkDevice('test', 'cpu')).not.toThrow();
});

test('a GPU that is not there is refused with ERR_DEVICE, whoever asks for it', async () => {
  const absent = `cuda:${gpus}`;
  expect(() => checkDevice('test', absent)).toThrow(coded('ERR_DEVICE'));
  expect(() => new Linear(3, 2).to(absent)).toThrow(coded('ERR_DEVICE'));
  if (gpus === 0) expect(() => zeros([2], { device: 'cuda' })).toThrow(coded('ERR_DEVICE'));
  const out = join(temporaryFolder(), 'run');
  await expect(trainRecommender({ quick: true, device: absent }, { out })).rejects.toEqual(coded('ERR_DEVICE'));
  expect(existsSync(out)).toBe(false);
});

test('tensors of two devices are refused with ERR_DEVICE by operators of LibTorch, too', () => {
  expect(() => ones([2]).add(zeros([2], { device: 'meta' }))).toThrow(coded('ERR_DEVICE'));
});

test('beside makes tensors where another lives', () => {
  expect(beside(ones([1]), Float32Array.of(1, 2)).toArray()).toEqual([1, 2]);
  expect(beside(zeros([1], { device: 'meta' }), Float32Array.of(1, 2)).device).toBe('meta');
});

describe('Module.to', () => {
  test('keeps the parameters the objects that they were, drops their gradients, and returns the module', () => {
    const layer = new Linear(3, 2);
    const [before, values] = [layer.weight, layer.weight.toArray()];
    layer
      .forward(ones([1, 3]))
      .sum()
      .backward();
    expect(layer.to('cpu')).toBe(layer);
    expect(layer.weight).toBe(before);
    expect([layer.device, layer.weight.grad, layer.weight.toArray()]).toEqual(['cpu', null, values]);
    expect(layer.weight.requiresGrad).toBe(true);
  });

  test('is refused while an engine is attached', () => {
    const model = Object.assign(new Linear(3, 2), { loss: () => ones([1]) });
    const plan = {
      records: 10,
      steps: 1,
      noiseMultiplier: 1,
      sampler: poisson({ batchSize: 2 }),
      clip: abadi({ maxGradNorm: 1 }),
    };
    const engine = new PrivacyEngine(model, plan);
    engine.attach(sgd(model.parameters(), { lr: 0.1 }));
    try {
      expect(() => model.to('cpu')).toThrow(coded('ERR_ENGINE_STATE'));
    } finally {
      engine.detach();
      engine.close();
    }
    expect(model.to('cpu').device).toBe('cpu');
  });
});

test('a call without memory is made once more after a collection, and says what is held when that does not help', () => {
  const held = ones([1 << 18]);
  expect(() => zeros([1e6, 1e6, 100])).toThrow(/This thread holds \d+ tensors of \d+ MiB together.*memoryBudget/s);
  expect(() => zeros([1e6, 1e6, 100])).toThrow(coded('ERR_OUT_OF_MEMORY'));
  expect(memory().tensors).toBeGreaterThanOrEqual(1);
  held.dispose();
});

test('PHANTOMGRAD_KERNELS is read once, and refused where it is neither native nor generic', () => {
  const script = `require('./test/fixtures/typescript.cjs');
    const { torch, ones } = require('./lib/tensor');
    torch.ops.phantomgrad.linear(ones([1, 1]), ones([1, 1]));`;
  const run = (kernels: string): string =>
    spawnSync(process.execPath, ['-e', script], {
      cwd: join(__dirname, '..', '..', '..'),
      encoding: 'utf8',
      env: { ...process.env, PHANTOMGRAD_KERNELS: kernels },
    }).stderr;
  expect(run('generic')).toBe('');
  expect(run('slow')).toMatch(/PHANTOMGRAD_KERNELS must be native or generic, got slow/);
});

test('the switch for tests is off in the end', () => {
  const [x, w] = [tensor([[1, 2]]), tensor([[3, 4]])];
  const { linear, prefer_any_device: preferAnyDevice } = torch.ops.phantomgrad;
  const own = linear(x, w).toArray();
  preferAnyDevice(true);
  try {
    expect(linear(x, w).toArray()).toEqual(own);
  } finally {
    preferAnyDevice(false);
  }
});
