// A whole recommender on a GPU, with the plugin's kernels and without, beside the same on the CPU. Also run by scripts/gpu.sh without Jest.

import { SequentialTransformer } from '../../lib/models/sequential-transformer';
import { type Device, type Tensor, torch } from '../../lib/tensor';
import { gpuKit, gpuMissing } from '../csrc/cuda/kit';
import { withBook } from '../csrc/ops/book';
import { distance, engineFor, histories, ITEMS, optimizers } from '../lib/privacy/fixture';

const ops = torch.ops.phantomgrad;
const missing = gpuMissing();
const RECORDS = [0, 5, 6, 7, 12, 19];

const model = (device: Device): SequentialTransformer =>
  new SequentialTransformer({
    ...{ items: ITEMS, dim: 8, blocks: 2, heads: 2, maxLength: 6, seed: 3 },
    ...{ dropout: 0.1, reAttention: true },
  }).to(device);

const onHost = (t: Tensor): Float64Array => t.detach().to('cpu').to('float64').toTypedArray() as Float64Array;
const weights = (m: SequentialTransformer): number[] => m.parameters().flatMap((p) => [...onHost(p)]);

function norms(device: Device): { readonly norm2: number[][]; readonly bound: number[] } {
  const m = model(device);
  const { bytesPerRow: _, ...layout } = m.packing();
  const batch = histories().pack(Int32Array.from(RECORDS), { rowBudget: 1000, ...layout })[0]!;
  const parameters = Object.fromEntries(m.parameters().map((p, i) => [String(i), p]));
  return withBook(parameters, (book) => {
    const { norm2, bound } = book.backward(m.loss(batch)).norms();
    return { norm2: Object.keys(parameters).map((name) => [...norm2[name]!]), bound: [...bound] };
  });
}

function train(device: Device): { readonly before: number[]; readonly after: number[]; readonly epsilon: number } {
  const m = model(device);
  const before = weights(m);
  const engine = engineFor(m);
  const optimizer = engine.attach(optimizers.adam(m));
  for (const batch of engine.batches(histories())) optimizer.step({ loss: m.loss(batch) });
  return { before, after: weights(m), epsilon: engine.privacySpent().epsilon };
}

function agreement(): void {
  test('norms of every parameter and sample are those of the CPU', () => {
    const [cpu, gpu] = [norms('cpu'), norms('cuda')];
    const total = cpu.bound.map((_, b) => cpu.norm2.reduce((sum, row) => sum + row[b]!, 0));
    cpu.norm2.forEach((row, i) =>
      row.forEach((want, b) =>
        expect(Math.abs(gpu.norm2[i]![b]! - want)).toBeLessThanOrEqual(1e-4 * want + 1e-6 * total[b]!),
      ),
    );
    gpu.bound.forEach((bound, b) => {
      expect(bound).toBeGreaterThanOrEqual(Math.sqrt(total[b]!) * (1 - 1e-5));
      expect(bound).toBeLessThanOrEqual(Math.sqrt(total[b]!) * 1.01);
    });
  });

  test('private training gives the weights of the CPU within rounding, and the same ε', () => {
    const [cpu, gpu] = [train('cpu'), train('cuda')];
    expect(gpu.epsilon).toBe(cpu.epsilon);
    expect(gpu.before).toEqual(cpu.before);
    expect(distance(cpu.before, cpu.after)).toBeGreaterThan(0.1);
    expect(distance(gpu.after, cpu.after)).toBeLessThan(1e-3 * distance(cpu.before, cpu.after));
  });
}

if (missing === null) {
  gpuKit();
  describe("a recommender on a GPU with LibTorch's operators", () => {
    const generic = (wanted: boolean): void => {
      ops.plugin_forget();
      ops.prefer_any_device(wanted);
    };
    test('no kernel of the plugin takes part from here on', () => {
      generic(true);
      expect(ops.plugin_try('cuda:0').filter((line) => line.includes('cuda:0'))).toEqual([]);
    });
    agreement();
    test('and with the kernels again', () => {
      generic(false);
      expect(ops.plugin_report().filter((line) => !line.endsWith(': 0 calls'))).toEqual([]);
    });
  });
  describe("a recommender on a GPU with the plugin's kernels", () => {
    agreement();
    test('every family took part', () => {
      expect(ops.plugin_report().filter((line) => !/: [1-9]\d* calls; cuda:0 in use$/.test(line))).toEqual([]);
    });
  });
} else {
  console.warn(`SKIPPED: models on a GPU. ${missing}.`);
  test.skip(`0 models ran on a GPU: ${missing}`, () => undefined);
}
